package record

import (
	"strconv"
	"strings"

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

func of(list ...string) Values {
	v := Values{Absent: true}
	for _, s := range list {
		v.List = append(v.List, s)
		if s != "" {
			v.Absent = false
		}
	}
	return v
}

func yesNo(b bool) Values { return of(strconv.FormatBool(b)) }

// Field reads a field by the name that a rule uses: one of the decoded facts in the table below, else a path into
// the JSON, with or without its leading `properties.`.
func (r *Record) Field(name string) Values {
	for _, f := range factFields {
		if strings.EqualFold(f.name, name) {
			return f.read(r)
		}
	}
	var values Values
	path := strings.Split(name, ".")
	collect(r.root, path, &values.List)
	if len(values.List) == 0 && !strings.EqualFold(path[0], "properties") {
		collect(find(r.root, "properties"), path, &values.List)
	}
	if len(values.List) == 0 && strings.EqualFold(path[0], "properties") {
		collect(r.root, path[1:], &values.List)
	}
	return of(values.List...)
}

// collect gathers the scalars at the end of a path; arrays on the way count with every element.
func collect(v tape.Value, path []string, out *[]string) {
	v = unwrap(v)
	switch v.Kind() {
	case tape.Absent, tape.Null:
	case tape.Array:
		for _, e := range elements(v) {
			collect(e, path, out)
		}
	case tape.Object:
		if len(path) > 0 {
			collect(find(v, path[0]), path[1:], out)
		}
	default:
		if len(path) == 0 {
			*out = append(*out, text(v))
		}
	}
}

// factFields are the decoded facts that rules may name beside the raw fields.
var factFields = []struct {
	name string
	read func(*Record) Values
}{
	{"operationName", func(r *Record) Values { return of(r.Operation) }},
	{"activityDisplayName", func(r *Record) Values { return of(NormalOperation(text(r.value("activityDisplayName")))) }},
	{"category", func(r *Record) Values { return of(r.Category) }},
	{"result", func(r *Record) Values { return of(r.Result) }},
	{"actor.id", func(r *Record) Values { return of(r.Actor.Key()) }},
	{"actor.type", func(r *Record) Values { return of(r.Actor.Type) }},
	{"actor.upn", func(r *Record) Values { return of(r.Actor.UPN) }},
	{"actor.appId", func(r *Record) Values { return of(r.Actor.AppID) }},
	{"actor.address", func(r *Record) Values { return of(r.Actor.Address) }},
	{"target.type", func(r *Record) Values { return r.targets(func(t Target) string { return t.Type }) }},
	{"target.id", func(r *Record) Values { return r.targets(func(t Target) string { return t.ID }) }},
	{"role.templateId", func(r *Record) Values { ids, _ := r.Roles(); return of(ids...) }},
	{"role.name", func(r *Record) Values { _, names := r.Roles(); return of(names...) }},
	{"consent.scope", func(r *Record) Values { return of(r.Consent().Scopes...) }},
	{"consent.admin", func(r *Record) Values { return r.consentFlag(func(c Consent) bool { return c.Admin }) }},
	{"consent.everyone", func(r *Record) Values { return r.consentFlag(func(c Consent) bool { return c.All }) }},
	{"consent.appOnly", func(r *Record) Values { return r.consentFlag(func(c Consent) bool { return c.AppOnly }) }},
	{"credential.added", func(r *Record) Values { ids, _ := r.CredentialsAdded(); return of(ids...) }},
	{"consentPolicy.added", func(r *Record) Values { ids, _ := r.ConsentPolicyLoosened(); return of(ids...) }},
	{"diagnostic.disabled", func(r *Record) Values { return of(r.Diagnostic().Disabled...) }},
	{"diagnostic.eventHub", func(r *Record) Values {
		d := r.Diagnostic()
		if !d.Known {
			return of()
		}
		return yesNo(d.Hub)
	}},
	{"signIn.errorCode", func(r *Record) Values {
		if r.SignIn == nil || !r.SignIn.HasError {
			return of()
		}
		return of(strconv.Itoa(r.SignIn.Error))
	}},
	{"signIn.address", func(r *Record) Values {
		if r.SignIn == nil {
			return of()
		}
		return of(r.SignIn.Address)
	}},
	{"signIn.mfa", func(r *Record) Values {
		if r.SignIn == nil || r.SignIn.MFA == MFAUnknown {
			return of()
		}
		return yesNo(r.SignIn.MFA == MFAYes)
	}},
}

func (r *Record) targets(part func(Target) string) Values {
	var out []string
	for _, t := range r.Targets {
		out = append(out, part(t))
	}
	return of(out...)
}

func (r *Record) consentFlag(part func(Consent) bool) Values {
	c := r.Consent()
	if !c.Known {
		return of()
	}
	return yesNo(part(c))
}
