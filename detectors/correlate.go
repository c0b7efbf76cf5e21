package detectors

import (
	"strings"
	"time"

	"cordon/detectors/sigma"
)

// correlate hands a record that a rule matched to the correlations that ask for the rule, and takes away one whose
// fuller revision contradicts an unconfirmed match, or is suppressed by an exception.
func (e *Engine) correlate(k *kept, v *event, truth sigma.Truth, by, position string, words []string) *kept {
	inlets := e.inlets[v.rule]
	if len(inlets) == 0 {
		return k
	}
	size := int32(v.Fullness())
	if truth == sigma.TrueAbsent && (int32(v.most) > size || k != nil && k.fullest > size) {
		return k // the fuller revision has been looked at
	}
	for _, f := range inlets {
		old := k.item(f)
		if by != "" {
			if old != nil && size >= old.Size {
				e.windows[f.to.at].Take(old)
				e.buckets.touch(k)
			}
			continue
		}
		if !truth.Holds() {
			if old != nil && size >= old.Size && (old.Unconfirmed || e.lost(v)) {
				e.windows[f.to.at].Take(old)
				e.buckets.touch(k)
			}
			continue
		}
		key, ok := v.group(f)
		if !ok {
			continue
		}
		k = e.know(k, v)
		it := sigma.Item{Of: k, By: f.number, Time: v.Time, Rule: e.rules[v.rule].Name, Unconfirmed: truth == sigma.TrueAbsent, Size: size, Values: v.counted(f)}
		for _, slot := range f.needs {
			said, _ := v.first(slot)
			it.Fields = append(it.Fields, said)
		}
		now, fresh := e.windows[f.to.at].Put(old, sigma.Group{Tenant: e.tenant(v.Tenant), Key: key}, it)
		if !fresh {
			e.sayAgain(k, v, position, words, f, now)
			continue
		}
		k.hold(now, v.ID)
		k.time = v.Time.UnixNano()
		k.bucket.holds(k.time)
		for _, value := range it.Values {
			k.bucket.bytes += len(value)
		}
		if !v.said { // for one correlation as for all
			e.say(k, v, position, words)
		}
		e.buckets.touch(k)
	}
	return k
}

// tenant is a tenant's name in small letters, one text for all its records.
func (e *Engine) tenant(name string) string {
	if name != "" && name == e.lastTenant.written {
		return e.lastTenant.lower
	}
	lower := strings.ToLower(name)
	for have := range e.tenants { // a shard has a few
		if have == lower {
			e.lastTenant = spelt{e.tenants[have], have}
			return have
		}
	}
	lower = strings.Clone(lower)
	e.tenants[lower] = strings.Clone(name)
	return lower
}

// spelt is a tenant as a record spelled it, and in small letters.
type spelt struct{ written, lower string }

// group is what a correlation groups the record under.
func (v *event) group(f *inlet) (string, bool) {
	return groupKey(len(f.groupBy), func(i int) string { said, _ := v.first(f.groupBy[i]); return said })
}

// groupKey makes one text of several values; there is none where one is missing. What an attacker chose must not make
// two groups one.
func groupKey(n int, value func(int) string) (string, bool) {
	var key strings.Builder
	for i := range n {
		part := strings.ToLower(value(i))
		if part == "" {
			return "", false
		}
		if i > 0 {
			key.WriteByte('|')
		}
		if strings.ContainsAny(part, "|%") {
			part = keyEscaper.Replace(part)
		}
		key.WriteString(part)
	}
	return key.String(), true
}

var keyUnescaper = strings.NewReplacer("%7c", "|", "%25", "%")

var keyEscaper = strings.NewReplacer("|", "%7c", "%", "%25")

// counted are the values that value_count counts: all of one field, or the first of each of several together.
func (v *event) counted(f *inlet) []string {
	if len(f.counted) == 1 {
		values := v.Slot(f.counted[0])
		if values.Absent || values.Unknown {
			return nil
		}
		list := values.List[:min(len(values.List), maxCounted)]
		out := make([]string, 0, len(list))
		for _, s := range list {
			if s != "" {
				out = append(out, shortened(s, countedText))
			}
		}
		return out
	}
	return tuple(len(f.counted), func(i int) string { said, _ := v.first(f.counted[i]); return said })
}

// tuple is several values as one; there is none where one of them is missing.
func tuple(n int, value func(int) string) []string {
	parts := make([]string, n)
	for i := range parts {
		if parts[i] = value(i); parts[i] == "" {
			return nil
		}
	}
	if n == 0 {
		return nil
	}
	return []string{strings.Join(parts, "\x00")}
}

// look has every correlation look at what was touched, from the bottom up.
func (e *Engine) look(which func(*sigma.Correlator) []sigma.Slot) {
	for i, c := range e.correlations {
		for _, s := range which(e.windows[i]) {
			e.slot(c, s)
			for _, up := range c.above {
				e.rise(c, up, s)
			}
		}
	}
}

// rise hands the closings of a slot to a correlation above.
func (e *Engine) rise(c, up *correlation, s sigma.Slot) {
	above := e.windows[up.at]
	for _, it := range s.Gone {
		above.Remove(it)
	}
	for _, it := range s.Closings {
		fields := it.Fields
		read := func(field string) string {
			for i, need := range c.needs {
				if need == field && i < len(fields) {
					return fields[i]
				}
			}
			return ""
		}
		key, ok := groupKey(len(up.over.GroupBy), func(i int) string { return read(up.over.Field(c.rule.Name, up.over.GroupBy[i])) })
		if !ok {
			above.Remove(it)
			continue
		}
		it.Values = tuple(len(up.over.Fields), func(i int) string { return read(up.over.Field(c.rule.Name, up.over.Fields[i])) })
		it.Fields = nil
		for _, need := range up.needs {
			field := need
			for _, name := range up.over.GroupBy {
				if name == need {
					field = up.over.Field(c.rule.Name, need)
				}
			}
			it.Fields = append(it.Fields, read(field))
		}
		above.Add(sigma.Group{Tenant: s.Group.Tenant, Key: key}, it)
	}
}

// watermarkOf is the least of a tenant's watermarks over the categories of a correlation that have begun: of others
// nobody is known to bring records.
func (c *correlation) watermarkOf(tenant string, watermark func(tenant, category string) time.Time) time.Time {
	least := time.Unix(0, 0)
	begun := false
	for _, category := range c.categories {
		w := watermark(tenant, category)
		if w.IsZero() {
			return w // the end of input
		}
		if w.Equal(time.Unix(0, 0)) {
			continue
		}
		if !begun || w.Before(least) {
			least, begun = w, true
		}
	}
	return least
}
