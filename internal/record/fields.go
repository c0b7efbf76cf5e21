package record

import (
	"strconv"

	"cordon/internal/tape"
)

// Values are what a field holds: any element of arrays on its path. Absent says that the field is empty or
// missing, which a detector must not take for proof.
type Values struct {
	List   []string
	Absent bool
	// Unknown says that nobody knows: a fact of the directory that was never read.
	Unknown bool
}

// of are a list's values, which keep it.
func of(list []string) Values {
	v := Values{List: list, Absent: true}
	for _, s := range list {
		v.Absent = v.Absent && s == ""
	}
	return v
}

// Field reads a field by the name that a rule uses: one of the decoded facts, else a path into the JSON, with or
// without its leading `properties.`.
func (r *Record) Field(name string) Values {
	if read, ok := Fact(name); ok {
		return read.Values(r)
	}
	path := namesOf(name)
	list := collect(r.root, path, nil)
	properties := leading(path)
	if len(list) == 0 && !properties {
		list = collect(find(r.root, nProperties), path, list)
	}
	if len(list) == 0 && properties {
		list = collect(r.root, path[1:], list)
	}
	return of(list)
}

// collect adds the scalars at the end of a path; arrays on the way count with every element.
func collect(v tape.Value, path []tape.Name, out []string) []string {
	v = unwrap(v)
	switch v.Kind() {
	case tape.Absent, tape.Null:
	case tape.Array:
		for _, e := range elements(v) {
			out = collect(e, path, out)
		}
	case tape.Object:
		if len(path) > 0 {
			out = collect(v.FindName(path[0]), path[1:], out)
		}
	default:
		if len(path) == 0 {
			out = append(out, text(v))
		}
	}
	return out
}

// factFields are the decoded facts that rules may name beside the raw fields.
var factFields = []struct {
	name string
	read Reader
}{
	{"operationName", func(r *Record, out []string) []string { return append(out, r.Operation) }},
	{"activityDisplayName", func(r *Record, out []string) []string {
		return append(out, NormalOperation(text(r.value(nActivityDisplayName))))
	}},
	{"category", func(r *Record, out []string) []string { return append(out, r.Category) }},
	{"result", func(r *Record, out []string) []string { return append(out, r.Result()) }},
	{"actor.id", func(r *Record, out []string) []string { return append(out, r.Actor.Key()) }},
	{"actor.type", func(r *Record, out []string) []string { return append(out, r.Actor.Type) }},
	{"actor.upn", func(r *Record, out []string) []string { return append(out, r.Actor.UPN) }},
	{"actor.appId", func(r *Record, out []string) []string { return append(out, r.Actor.AppID) }},
	{"actor.address", func(r *Record, out []string) []string { return append(out, r.Actor.Address) }},
	{"target.type", func(r *Record, out []string) []string {
		for _, t := range r.Targets() {
			out = append(out, t.Type)
		}
		return out
	}},
	{"target.id", func(r *Record, out []string) []string {
		for _, t := range r.Targets() {
			out = append(out, t.ID)
		}
		return out
	}},
	{"role.templateId", (*Record).roleIDs},
	{"role.name", (*Record).roleNames},
	{"consent.scope", func(r *Record, out []string) []string { return append(out, r.Consent().Scopes...) }},
	{"consent.admin", func(r *Record, out []string) []string {
		c := r.Consent()
		return yesNo(out, c.Known, c.Admin)
	}},
	{"consent.everyone", func(r *Record, out []string) []string {
		c := r.Consent()
		return yesNo(out, c.Known, c.All)
	}},
	{"consent.appOnly", func(r *Record, out []string) []string {
		c := r.Consent()
		return yesNo(out, c.Known, c.AppOnly)
	}},
	{"credential.added", func(r *Record, out []string) []string {
		ids, _ := r.CredentialsAdded()
		return append(out, ids...)
	}},
	{"consentPolicy.added", func(r *Record, out []string) []string {
		ids, _ := r.ConsentPolicyLoosened()
		return append(out, ids...)
	}},
	{"diagnostic.disabled", func(r *Record, out []string) []string { return append(out, r.Diagnostic().Disabled...) }},
	{"diagnostic.eventHub", func(r *Record, out []string) []string {
		d := r.Diagnostic()
		return yesNo(out, d.Known, d.Hub)
	}},
	{"signIn.errorCode", func(r *Record, out []string) []string {
		if code := r.ErrorCode(); code != "" {
			out = append(out, code)
		}
		return out
	}},
	{"signIn.address", func(r *Record, out []string) []string {
		if r.outcome().signedIn {
			out = append(out, r.Actor.Address)
		}
		return out
	}},
	{"signIn.mfa", func(r *Record, out []string) []string {
		proved, _ := r.MFA()
		return yesNo(out, proved != MFAUnknown, proved == MFAYes)
	}},
}

// yesNo adds a fact that is true or false, where it is known.
func yesNo(out []string, known, fact bool) []string {
	if !known {
		return out
	}
	return append(out, strconv.FormatBool(fact))
}
