package fields

import (
	"strconv"
	"strings"

	"cordon/internal/record"
)

// translations are what no path says: names that stand for several members, or for a value in other words. Keys are
// lower-case.
var translations = map[string]Reader{
	"operation":          operation,
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

// operation is the operation's name, and the activity's where a relay writes another beside it. A name with a dash is
// also given with the en dash that Microsoft writes (domain notes, logs 4.4), for rules that copied it from a record.
func operation(r *record.Record) record.Values {
	list := []string{r.Operation}
	if name := record.NormalOperation(r.Text("activityDisplayName")); name != "" && !strings.EqualFold(name, r.Operation) {
		list = append(list, name)
	}
	for _, name := range list {
		if strings.Contains(name, " - ") {
			list = append(list, strings.ReplaceAll(name, " - ", " – "))
		}
	}
	return record.Says(list...)
}

func initiator(r *record.Record) record.Values {
	return names(r.Actor.UPN, r.Actor.ID, r.Actor.Name, r.Actor.AppID, r.Text("caller"))
}

func target(r *record.Record) record.Values {
	var list []string
	for _, t := range r.Targets {
		list = append(list, t.UPN, t.ID, t.Name)
	}
	return names(list...)
}

// names leaves out what is empty or said already.
func names(list ...string) record.Values {
	var out []string
	for _, s := range list {
		said := false
		for _, have := range out {
			said = said || strings.EqualFold(have, s)
		}
		if s != "" && !said {
			out = append(out, s)
		}
	}
	return record.Says(out...)
}

func auditOutcome(r *record.Record) record.Values {
	return names(r.Result, r.Text("resultReason"))
}

func auditCategory(r *record.Record) record.Values {
	return names(r.Text("category"), r.Envelope("category"), r.Category)
}

// signInOutcome is what the portal shows as status, and what the record's status says more.
func signInOutcome(r *record.Record) record.Values {
	detail := record.Path("status.additionalDetails")(r).List
	reason := record.Path("status.failureReason")(r).List
	return names(append(append([]string{r.Result}, detail...), reason...)...)
}

func signInCode(r *record.Record) record.Values {
	if r.SignIn == nil || !r.SignIn.HasError {
		return names(r.Text("resultType"))
	}
	return record.Says(strconv.Itoa(r.SignIn.Error))
}

func signInDescription(r *record.Record) record.Values {
	reason := record.Path("status.failureReason")(r).List
	detail := record.Path("status.additionalDetails")(r).List
	return names(append(append([]string{r.Envelope("resultDescription"), r.Text("resultDescription")}, reason...), detail...)...)
}

// protocols are the portal's names for authentication protocols, by the record's (Graph's authenticationProtocol and
// originalTransferMethod, "Sign-in log activity details" on learn.microsoft.com).
var protocols = map[string]string{
	"devicecode": "Device Code", "devicecodeflow": "Device Code", "ropc": "ROPC", "oauth2": "OAuth 2.0", "saml20": "SAML 2.0", "wsfederation": "WS-Federation",
	"authenticationtransfer": "Authentication transfer",
}

func signInProtocol(r *record.Record) record.Values {
	var list []string
	for _, said := range []string{r.Text("authenticationProtocol"), r.Text("originalTransferMethod")} {
		if said == "" || strings.EqualFold(said, "none") {
			continue
		}
		list = append(list, said, protocols[strings.ToLower(said)])
	}
	return names(list...)
}

func signInPlace(r *record.Record) record.Values {
	list := []string{r.Envelope("location")}
	if r.SignIn != nil {
		list = append(list, r.SignIn.Country)
	}
	return names(list...)
}

func activityMessage(r *record.Record) record.Values {
	return names(append(record.Path("properties.message")(r).List, r.Operation)...)
}

func activityCategory(r *record.Record) record.Values {
	return names(append(record.Path("properties.eventCategory")(r).List, r.Category, r.Envelope("CategoryValue"))...)
}

// activityProvider is the operation's first part, where the record does not name the provider itself.
func activityProvider(r *record.Record) record.Values {
	first, _, _ := strings.Cut(r.Operation, "/")
	list := append(record.Path("resourceProviderName")(r).List, record.Path("resourceProviderName.value")(r).List...)
	return names(append(list, r.Envelope("ResourceProviderValue"), first)...)
}

func activityOutcome(r *record.Record) record.Values {
	list := append(record.Path("resultType")(r).List, record.Path("status.value")(r).List...)
	return names(append(list, r.Envelope("status"), r.Envelope("ActivityStatusValue"), r.Result)...)
}

func unifiedOutcome(r *record.Record) record.Values {
	return names(r.Text("ResultStatus"), r.Result)
}
