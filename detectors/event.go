package detectors

import (
	"slices"

	"cordon/internal/directory"
	"cordon/internal/record"
)

// event is a record as rules see it: each field is read once, when a rule first asks, and in memory that is used for
// one record after another.
type event struct {
	*record.Record
	plan      *Plan
	directory *directory.Directory
	rule      int   // of the plan, that looks
	fields    []int // its, or its exception's

	asked      bool // the directory
	privileged directory.Known
	roles      []string

	most int  // how much the fullest revision of the record says that came
	said bool // what correlations will tell of the record is kept

	values []record.Values // by slot
	read   []uint32        // by slot: the round in which it was read
	round  uint32
	texts  []string
}

func newEvent(p *Plan, d *directory.Directory) *event {
	return &event{plan: p, directory: d, values: make([]record.Values, len(p.read)), read: make([]uint32, len(p.read))}
}

// take makes it the event of another record.
func (v *event) take(r *record.Record) {
	if v.round++; v.round == 0 { // once in four thousand million
		clear(v.read)
		v.round = 1
	}
	v.Record, v.asked, v.said, v.texts = r, false, false, v.texts[:0]
}

// Slot is what the record holds in a slot of the plan.
func (v *event) Slot(i int) record.Values {
	if v.read[i] == v.round {
		return v.values[i]
	}
	v.read[i] = v.round
	v.values[i] = v.look(i)
	return v.values[i]
}

func (v *event) look(i int) record.Values {
	read := v.plan.read[i]
	if read == nil {
		switch known, _ := v.standing(); known {
		case directory.Yes:
			return record.Values{List: yes}
		case directory.No:
			return record.Values{List: no}
		}
		return record.Values{Unknown: true}
	}
	from := len(v.texts)
	v.texts = read(v.Record, v.texts)
	list := v.texts[from:len(v.texts):len(v.texts)]
	for _, text := range list {
		if text != "" {
			return record.Values{List: list}
		}
	}
	return record.Values{List: list, Absent: true}
}

var yes, no = []string{"true"}, []string{"false"}

// Field is what the record holds in a field of the rule that looks.
func (v *event) Field(i int) record.Values { return v.Slot(v.fields[i]) }

// Bears says whether the record has that field, be it empty or null.
func (v *event) Bears(i int) bool {
	bears := v.plan.bears[v.fields[i]]
	return !v.Field(i).Absent || bears != nil && bears(v.Record)
}

// lookAs has a rule look.
func (v *event) lookAs(rule int) { v.rule, v.fields = rule, v.plan.fields[rule] }

// standing is what the directory knew about the actor at the record's time.
func (v *event) standing() (directory.Known, []string) {
	if !v.asked {
		v.asked = true
		v.privileged, v.roles = v.directory.Privileged(v.Tenant, v.Actor, v.Time)
	}
	return v.privileged, v.roles
}

// named is what the record holds in a field that a sentence asks for.
func (v *event) named(word string) []string {
	if slot, ok := v.plan.words[v.rule][word]; ok {
		return v.Slot(slot).List
	}
	return v.Record.Field(word).List
}

// first is the first value of a slot that is not empty, as windows keep it.
func (v *event) first(slot int) (string, bool) {
	values := v.Slot(slot)
	if values.Absent || values.Unknown {
		return "", false
	}
	i := slices.IndexFunc(values.List, func(s string) bool { return s != "" })
	return keptValue(values.List[i]), true
}
