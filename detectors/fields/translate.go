package fields

import (
	"slices"
	"strings"

	"cordon/internal/record"
	"cordon/internal/tape"
)

// translations are what no path says: names that stand for several members, or for a value in other words. Keys are
// lower-case.
var translations = map[string]Reader{
	"operation":          operation,
	"audit.operation":    auditOperation,
	"initiator":          initiator,
	"target":             target,
	"audit.outcome":      auditOutcome,
	"audit.category":     auditCategory,
	"signin.outcome":     signInOutcome,
	"signin.code":        signInCode,
	"signin.description": signInDescription,
	"signin.protocol":    signInProtocol,
	"signin.place":       signInPlace,
	"activity.message":   activityMessage,
	"activity.category":  activityCategory,
	"activity.provider":  activityProvider,
	"activity.outcome":   activityOutcome,
	"unified.outcome":    unifiedOutcome,
}

// The members that they read.
var (
	nActivityDisplayName    = tape.NameOf("activityDisplayName")
	nActivityStatusValue    = tape.NameOf("ActivityStatusValue")
	nAuthenticationProtocol = tape.NameOf("authenticationProtocol")
	nCaller                 = tape.NameOf("caller")
	nCategory               = tape.NameOf("category")
	nCategoryValue          = tape.NameOf("CategoryValue")
	nLocation               = tape.NameOf("location")
	nOperation              = tape.NameOf("operation")
	nOperationName          = tape.NameOf("operationName")
	nOriginalTransferMethod = tape.NameOf("originalTransferMethod")
	nResourceProviderValue  = tape.NameOf("ResourceProviderValue")
	nResultDescription      = tape.NameOf("resultDescription")
	nResultReason           = tape.NameOf("resultReason")
	nResultStatus           = tape.NameOf("ResultStatus")
	nResultType             = tape.NameOf("resultType")
	nStatus                 = tape.NameOf("status")
)

// What more than one of them reads.
var (
	failureReason     = record.Path("status.failureReason")
	additionalDetails = record.Path("status.additionalDetails")
)

// operation is the operation's name, and the activity's where a relay writes another beside it.
func operation(r *record.Record, out []string) []string {
	from := len(out)
	out = append(out, r.Operation)
	if name := record.NormalOperation(r.Text(nActivityDisplayName)); name != "" && !strings.EqualFold(name, r.Operation) {
		out = append(out, name)
	}
	return spelled(r, out, from)
}

// auditOperation is the operation's name alone.
func auditOperation(r *record.Record, out []string) []string {
	from := len(out)
	return spelled(r, append(out, r.Operation), from)
}

// spelled adds other spellings of the names of operations behind from, for rules that copied theirs from a record: one with
// a dash is also given with the en dash that Microsoft writes (domain notes, logs 4.4), and each as the record has it, with
// the unified log's full stop.
func spelled(r *record.Record, out []string, from int) []string {
	names := out[from:]
	for _, name := range names {
		if strings.Contains(name, " - ") {
			out = append(out, strings.ReplaceAll(name, " - ", " – "))
		}
	}
	for _, written := range [...]string{r.Envelope(nOperationName), r.Text(nActivityDisplayName), r.Envelope(nOperation)} {
		is := func(name string) bool { return strings.EqualFold(name, written) }
		if written == "" || slices.ContainsFunc(out[from:], is) {
			continue
		}
		if normal := record.NormalOperation(written); slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, normal) }) {
			out = append(out, written)
		}
	}
	return out
}

func initiator(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(out, r.Actor.UPN, r.Actor.ID, r.Actor.Name, r.Actor.AppID, r.Text(nCaller)), from)
}

func target(r *record.Record, out []string) []string {
	from := len(out)
	for _, t := range r.Targets() {
		out = append(out, t.UPN, t.ID, t.Name)
	}
	return names(out, from)
}

// names leaves out, of what stands behind from, what is empty or said already.
func names(list []string, from int) []string {
	out := list[:from]
	for _, s := range list[from:] {
		said := s == ""
		for _, have := range out[from:] {
			said = said || strings.EqualFold(have, s)
		}
		if !said {
			out = append(out, s)
		}
	}
	return out
}

func auditOutcome(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(out, r.Result(), r.Text(nResultReason)), from)
}

func auditCategory(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(out, r.Text(nCategory), r.Envelope(nCategory), r.Category), from)
}

// signInOutcome is what the portal shows as status, and what the record's status says more.
func signInOutcome(r *record.Record, out []string) []string {
	from := len(out)
	out = additionalDetails(r, append(out, r.Result()))
	return names(failureReason(r, out), from)
}

func signInCode(r *record.Record, out []string) []string {
	from := len(out)
	if code := r.ErrorCode(); code != "" {
		return append(out, code)
	}
	return names(append(out, r.Text(nResultType)), from)
}

func signInDescription(r *record.Record, out []string) []string {
	from := len(out)
	out = failureReason(r, append(out, r.Envelope(nResultDescription), r.Text(nResultDescription)))
	return names(additionalDetails(r, out), from)
}

// protocols are the portal's names for authentication protocols, by the record's (Graph's authenticationProtocol and
// originalTransferMethod, "Sign-in log activity details" on learn.microsoft.com).
var protocols = map[string]string{
	"devicecode": "Device Code", "devicecodeflow": "Device Code", "ropc": "ROPC", "oauth2": "OAuth 2.0", "saml20": "SAML 2.0", "wsfederation": "WS-Federation",
	"authenticationtransfer": "Authentication transfer",
}

func signInProtocol(r *record.Record, out []string) []string {
	from := len(out)
	for _, said := range [...]string{r.Text(nAuthenticationProtocol), r.Text(nOriginalTransferMethod)} {
		if said == "" || strings.EqualFold(said, "none") {
			continue
		}
		out = append(out, said, protocols[strings.ToLower(said)])
	}
	return names(out, from)
}

func signInPlace(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(out, r.Envelope(nLocation), r.Country()), from)
}

var message = record.Path("properties.message")

func activityMessage(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(message(r, out), r.Operation), from)
}

var eventCategory = record.Path("properties.eventCategory")

func activityCategory(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(eventCategory(r, out), r.Category, r.Envelope(nCategoryValue)), from)
}

var (
	provider      = record.Path("resourceProviderName")
	providerValue = record.Path("resourceProviderName.value")
)

// activityProvider is the operation's first part, where the record does not name the provider itself.
func activityProvider(r *record.Record, out []string) []string {
	from := len(out)
	first, _, _ := strings.Cut(r.Operation, "/")
	out = providerValue(r, provider(r, out))
	return names(append(out, r.Envelope(nResourceProviderValue), first), from)
}

var (
	resultType  = record.Path("resultType")
	statusValue = record.Path("status.value")
)

func activityOutcome(r *record.Record, out []string) []string {
	from := len(out)
	out = statusValue(r, resultType(r, out))
	return names(append(out, r.Envelope(nStatus), r.Envelope(nActivityStatusValue), r.Result()), from)
}

func unifiedOutcome(r *record.Record, out []string) []string {
	from := len(out)
	return names(append(out, r.Text(nResultStatus), r.Result()), from)
}
