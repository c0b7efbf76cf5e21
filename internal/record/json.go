package record

import (
	"strings"

	"github.com/valyala/fastjson"
)

// find returns an object's member by name, whatever its case: relays lower-case keys, Log Analytics capitalises
// them. The exact spelling wins.
func find(v *fastjson.Value, name string) *fastjson.Value {
	obj, err := v.Object()
	if err != nil {
		return nil
	}
	if exact := obj.Get(name); exact != nil {
		return exact
	}
	var found *fastjson.Value
	obj.Visit(func(key []byte, member *fastjson.Value) {
		if found == nil && len(key) == len(name) && strings.EqualFold(string(key), name) {
			found = member
		}
	})
	return found
}

// value returns the first of the named properties that the record has: in `properties`, else at the top as bare
// records have them. null counts as absent.
func (r *Record) value(names ...string) *fastjson.Value {
	properties := unwrap(find(r.root, "properties"))
	for _, name := range names {
		for _, parent := range []*fastjson.Value{properties, r.root} {
			if parent == nil {
				continue
			}
			if v := find(parent, name); v != nil && v.Type() != fastjson.TypeNull {
				return unwrap(v)
			}
		}
	}
	return nil
}

// unwrap decodes JSON inside a string once: exports put objects and arrays into strings.
func unwrap(v *fastjson.Value) *fastjson.Value {
	if v == nil || v.Type() != fastjson.TypeString {
		return v
	}
	s, _ := v.StringBytes()
	if len(s) < 2 || s[0] != '{' && s[0] != '[' {
		return v
	}
	var p fastjson.Parser
	inner, err := p.ParseBytes(s)
	if err != nil {
		return v
	}
	return inner
}

// text is a scalar as text; "" for null, objects and arrays.
func text(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		s, _ := v.StringBytes()
		return string(s)
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return v.String()
	}
	return ""
}

// elements are an array's members, or the value itself as the only one.
func elements(v *fastjson.Value) []*fastjson.Value {
	if v == nil {
		return nil
	}
	if a, err := v.Array(); err == nil {
		return a
	}
	return []*fastjson.Value{v}
}

// decodeOnce undoes the JSON text that audit records keep in oldValue and newValue: "\"True\"" is True.
func decodeOnce(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	var p fastjson.Parser
	v, err := p.Parse(s)
	if err != nil || v.Type() != fastjson.TypeString {
		return s
	}
	return text(v)
}

// list reads a JSON array of strings in a text, else the text itself as the only member; "" and [] are none.
func list(s string) []string {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	var p fastjson.Parser
	v, err := p.Parse(s)
	if err != nil || v.Type() != fastjson.TypeArray {
		return []string{s}
	}
	var out []string
	for _, e := range v.GetArray() {
		if t := text(e); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// NormalOperation folds what differs between spellings of one operation name: blanks around it, the unified audit
// log's final full stop, and the dash in "Update application – Certificates and secrets management ".
func NormalOperation(s string) string {
	s = strings.Map(func(c rune) rune {
		switch c {
		case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
			return '-'
		case '\u00a0':
			return ' '
		}
		return c
	}, s)
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "."))
}
