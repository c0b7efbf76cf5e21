package scenario

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// fields is a JSON object whose keys are looked up without regard to case: relays change it.
type fields map[string]any

// get follows a path; a text on the way that holds JSON is decoded once.
func (f fields) get(path ...string) any {
	var v any = map[string]any(f)
	for _, name := range path {
		object, ok := decoded(v).(map[string]any)
		if !ok {
			return nil
		}
		v = lookUp(object, name)
	}
	return decoded(v)
}

func lookUp(object map[string]any, name string) any {
	if v, ok := object[name]; ok {
		return v
	}
	for key, v := range object {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

func decoded(v any) any {
	text, ok := v.(string)
	if !ok || text == "" || text[0] != '{' && text[0] != '[' {
		return v
	}
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return v
	}
	return out
}

func (f fields) text(path ...string) string {
	s, _ := f.get(path...).(string)
	return strings.TrimSpace(s)
}

func (f fields) object(path ...string) fields {
	o, _ := f.get(path...).(map[string]any)
	return o
}

func (f fields) list(path ...string) []fields {
	items, _ := f.get(path...).([]any)
	var out []fields
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

var tenantPath = regexp.MustCompile(`(?i)/tenants/([^/]+)/`)

// tenantOf is the tenant that a record names, or names by its resource.
func tenantOf(f fields) string {
	if id := f.text("tenantId"); id != "" {
		return strings.ToLower(id)
	}
	if m := tenantPath.FindStringSubmatch(f.text("resourceId") + "/"); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

// timeOf is the event time where it is written plainly; zero means that nobody knows.
func timeOf(f fields) time.Time {
	for _, text := range []string{f.text("properties", "activityDateTime"), f.text("properties", "createdDateTime"), f.text("time")} {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006 3:04:05 PM"} {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// operation is the name of what was done, without the dashes, blanks and stops that vary.
func operation(f fields) string {
	name := f.text("operationName")
	if name == "" {
		name = f.text("properties", "activityDisplayName")
	}
	name = strings.NewReplacer("\u2013", "-", "\u2014", "-").Replace(name)
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
}

// modified is a modified property's value with its quotes taken off; a list of one is its element.
func modified(target fields, name, which string) string {
	for _, m := range target.list("modifiedProperties") {
		if !strings.EqualFold(m.text("displayName"), name) {
			continue
		}
		switch v := m.get(which).(type) {
		case string:
			var inner string
			if err := json.Unmarshal([]byte(v), &inner); err == nil {
				return inner
			}
			return v
		case []any:
			if len(v) == 1 {
				s, _ := v[0].(string)
				return s
			}
		}
	}
	return ""
}

// modifiedList is a modified property's value where it is a list of texts.
func modifiedList(target fields, name, which string) (out []string, found bool) {
	for _, m := range target.list("modifiedProperties") {
		if !strings.EqualFold(m.text("displayName"), name) {
			continue
		}
		items, _ := m.get(which).([]any)
		for _, item := range items {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out, true
	}
	return nil, false
}
