package detectors

import (
	"slices"
	"strings"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/internal/record"
)

// Plan is a set of rules made ready to run: what they read is resolved, what they wait for is indexed, what refers to
// what is linked. It does not change once it is made, and any number of engines run it.
type Plan struct {
	rules        []*sigma.Rule // that look at single records
	correlations []*correlation
	byName       map[string]*sigma.Rule
	base         map[string]bool // rules that only serve correlations
	places       map[string]int  // of rules, by name

	table  *fieldtable.Table
	slots  map[string]int  // by what is read, for all rules that read it
	read   []record.Reader // of each slot; nil is the directory's
	bears  []func(*record.Record) bool
	keys   []string         // what each slot is, in slots
	fields [][]int          // of each rule: the slots of its fields
	tells  []bool           // of each rule: it raises findings of its own
	mode   []string         // of each rule: what its findings carry
	words  []map[string]int // of each rule: the slots of what sentences ask of its records
	inlets [][]*inlet       // of each rule: the correlations that ask for it
	ways   []*inlet         // all of them, by number
	sights map[string]*sight

	tuning
	exceptions [][]exception // of each rule
}

// sight is what the rules of one category look at.
type sight struct {
	category string
	index    *sigma.Index
	rules    []int       // of the plan, by their places in the index
	place    map[int]int // the other way round
	words    []string    // that sentences of correlations ask of such records
}

// inlet is how a rule's records come to a correlation.
type inlet struct {
	number  int32
	to      *correlation
	rule    int
	groupBy []int // slots
	counted []int
	needs   []int
}

// Option is what a plan may be given beside its rules.
type Option func(*Plan)

// WithFields gives a plan another table of fields than the one that ships.
func WithFields(t *fieldtable.Table) Option { return func(p *Plan) { p.table = t } }

// NewPlan takes rules that come parsed and looks up what their fields mean. It refuses correlations over rules that are
// not there.
func NewPlan(rules []*sigma.Rule, options ...Option) (*Plan, error) {
	p := &Plan{byName: map[string]*sigma.Rule{}, base: map[string]bool{}, places: map[string]int{}, slots: map[string]int{}, sights: map[string]*sight{}}
	for _, o := range options {
		o(p)
	}
	if p.table == nil {
		table, err := fieldtable.Standard()
		if err != nil {
			return nil, err
		}
		p.table = table
	}
	rules, err := sigma.Except(rules)
	if err != nil {
		return nil, err
	}
	if err := p.link(rules); err != nil {
		return nil, err
	}
	if err := p.tune(rules); err != nil {
		return nil, err
	}
	for _, r := range rules {
		if r.Correlation != nil || p.idle(r.Name) {
			continue
		}
		p.places[r.Name] = len(p.rules)
		p.rules = append(p.rules, r)
		var slots []int
		for _, name := range r.Fields() {
			slots = append(slots, p.slot(r, name))
		}
		p.fields = append(p.fields, slots)
		p.tells = append(p.tells, !p.base[r.Name])
		p.mode = append(p.mode, p.quiet(r.Name))
		p.exceptions = append(p.exceptions, p.except(r))
	}
	p.inlets = make([][]*inlet, len(p.rules))
	for _, c := range p.correlations {
		for _, name := range c.over.Rules {
			if i, single := p.places[name]; single {
				p.inlets[i] = append(p.inlets[i], p.inlet(c, i))
			}
		}
	}
	for i, r := range p.rules {
		words := map[string]int{}
		for _, word := range wordsOf(r) {
			words[word] = p.slot(r, word)
		}
		for _, f := range p.inlets[i] {
			for _, word := range f.to.words {
				words[word] = p.slot(r, word)
			}
		}
		p.words = append(p.words, words)
	}
	p.see()
	return p, nil
}

// privilegedField is the one fact that the directory knows and no record says.
const privilegedField = "actor.privileged"

// slot is where a rule's field is read, once for all rules that mean the same by it.
func (p *Plan) slot(r *sigma.Rule, name string) int {
	key, read, bears := privilegedField, record.Reader(nil), (func(*record.Record) bool)(nil)
	if !strings.EqualFold(name, privilegedField) {
		meaning := p.table.Resolve(fieldtable.Name(r.LogSource().Product, r.LogSource().Service, r.LogSource().Category), name)
		key, read, bears = meaning.Key, meaning.Read, meaning.Bears
	}
	at, ok := p.slots[key]
	if !ok {
		at = len(p.read)
		p.slots[key] = at
		p.keys = append(p.keys, key)
		p.read, p.bears = append(p.read, read), append(p.bears, bears)
	}
	return at
}

func (p *Plan) inlet(c *correlation, rule int) *inlet {
	f, r := &inlet{number: int32(len(p.ways)), to: c, rule: rule}, p.rules[rule]
	p.ways = append(p.ways, f)
	for _, name := range c.over.GroupBy {
		f.groupBy = append(f.groupBy, p.slot(r, c.over.Field(r.Name, name)))
	}
	for _, name := range c.over.Fields {
		f.counted = append(f.counted, p.slot(r, c.over.Field(r.Name, name)))
	}
	for _, name := range c.needs {
		if slices.Contains(c.over.GroupBy, name) { // the name of this one's own grouping, else the record's own field
			name = c.over.Field(r.Name, name)
		}
		f.needs = append(f.needs, p.slot(r, name))
	}
	return f
}

// see indexes the rules of each category.
func (p *Plan) see() {
	of := map[string][]int{}
	for i, r := range p.rules {
		for _, category := range r.Categories {
			if at := of[category]; len(at) == 0 || at[len(at)-1] != i {
				of[category] = append(at, i)
			}
		}
	}
	for category, places := range of {
		s := &sight{category: category, rules: places, place: map[int]int{}}
		var rules []*sigma.Rule
		for place, i := range places {
			rules = append(rules, p.rules[i])
			s.place[i] = place
			for _, f := range p.inlets[i] {
				s.words = append(s.words, f.to.words...)
			}
		}
		slices.Sort(s.words)
		s.words = slices.Compact(s.words)
		s.index = sigma.NewIndex(rules, func(rule, field int) int { return p.fields[places[rule]][field] })
		p.sights[category] = s
	}
}

// LooksAt says whether any rule looks at records of a category.
func (p *Plan) LooksAt(category string) bool { return p.sights[category] != nil }

// Serves says that a rule raises no finding of its own: it only serves correlations.
func (p *Plan) Serves(name string) bool { return p.base[name] }
