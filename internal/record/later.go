package record

import (
	"strconv"

	"cordon/internal/tape"
)

// form is how the records of a category tell what happened. What it lacks they do not tell.
type form struct {
	// Read when a record is decoded.
	operation func(*Record) string
	actor     func(*Record) Party
	// Read when somebody asks.
	result      func(*Record) string
	correlation func(*Record) string
	targets     func(*Record) // adds them to the Decoder's
	outcome     func(*Record) outcome
	signIn      func(*Record) SignIn // where there is an outcome
}

// The forms. What each is made of stands in the file that is called after it.
var (
	formSignIn       = form{signInOperation, (*Record).signInActor, (*Record).signInResult, (*Record).signInCorrelation, nil, (*Record).signInOutcome, (*Record).readSignIn}
	formAudit        = form{(*Record).auditOperation, (*Record).initiator, (*Record).auditResult, inProperties(nCorrelationId), (*Record).auditTargets, nil, nil}
	formIntune       = form{(*Record).intuneOperation, (*Record).intuneActor, (*Record).intuneResult, (*Record).intuneCorrelation, (*Record).intuneTargets, nil, nil}
	formProvisioning = form{(*Record).provisioningOperation, (*Record).provisioningActor, (*Record).provisioningResult, (*Record).provisioningCorrelation, (*Record).provisioningTargets, nil, nil}
	formRisk         = form{(*Record).envelopeOperation, (*Record).atRisk, (*Record).riskResult, inProperties(nCorrelationId), nil, nil, nil}
	formGraph        = form{(*Record).graphOperation, (*Record).graphCaller, (*Record).graphResult, (*Record).graphCorrelation, nil, nil, nil}
	formDefender     = form{(*Record).defenderOperation, (*Record).account, (*Record).defenderResult, (*Record).defenderCorrelation, nil, nil, nil}
	formPartner      = form{(*Record).partnerOperation, (*Record).partnerActor, (*Record).partnerResult, nil, (*Record).partnerTargets, nil, nil}
	formUnified      = form{(*Record).unifiedOperation, (*Record).unifiedActor, (*Record).unifiedResult, inProperties(cInterSystemsId), (*Record).unifiedTargets, (*Record).unifiedOutcome, (*Record).unifiedSignIn}
	formActivity     = form{(*Record).activityOperation, (*Record).caller, (*Record).activityResult, inProperties(nCorrelationId), (*Record).activityTargets, nil, nil}
	formUnknown      = form{operation: (*Record).envelopeOperation}
)

func formOf(category string, kind Kind) *form {
	switch kind {
	case KindSignIn:
		return &formSignIn
	case KindAudit:
		switch category {
		case IntuneAuditLogs:
			return &formIntune
		case ProvisioningLogs:
			return &formProvisioning
		}
		return &formAudit
	case KindRisk:
		return &formRisk
	case KindGraphActivity:
		return &formGraph
	case KindDefender:
		return &formDefender
	case KindPartner:
		return &formPartner
	case KindUnifiedAudit:
		return &formUnified
	case KindAzureActivity:
		return &formActivity
	}
	return &formUnknown
}

func inProperties(name tape.Name) func(*Record) string {
	return func(r *Record) string { return text(r.value(name)) }
}

func (r *Record) envelopeOperation() string {
	return NormalOperation(text(find(r.root, nOperationName)))
}

// later is what is read of a record when somebody asks, and kept: of most records nobody does.
type later struct {
	dec     *Decoder // whose memory it has
	form    *form
	asked   asked
	result  string
	outcome outcome
	targets []Target
	signIn  *SignIn
}

type asked uint8

const (
	askedResult asked = 1 << iota
	askedOutcome
	askedTargets
	askedSignIn
)

// first says that nobody has asked for it yet, and that there is somebody to answer.
func (l *later) first(what asked) bool {
	if l.form == nil || l.asked&what != 0 {
		return false
	}
	l.asked |= what
	return true
}

// Result is success, failure or what the record says.
func (r *Record) Result() string {
	if r.later.first(askedResult) && r.later.form.result != nil {
		r.later.result = r.later.form.result(r)
	}
	return r.later.result
}

// Correlation is what records of one request have in common.
func (r *Record) Correlation() string {
	if r.later.form == nil || r.later.form.correlation == nil {
		return ""
	}
	return r.later.form.correlation(r)
}

// Targets are the objects that the record says were changed.
func (r *Record) Targets() []Target {
	if r.later.first(askedTargets) && r.later.form.targets != nil {
		dec := r.later.dec
		dec.targets, dec.changes = dec.targets[:0], dec.changes[:0]
		if r.later.form.targets(r); len(dec.targets) > 0 { // a Decoder's memory is no sign of any
			r.later.targets = dec.targets
		}
	}
	return r.later.targets
}

// SignIn is what a sign-in says beyond actor and result; nil of other records.
func (r *Record) SignIn() *SignIn {
	if r.later.first(askedSignIn) && r.outcome().signedIn {
		dec := r.later.dec
		dec.signIn = r.later.form.signIn(r)
		r.later.signIn = &dec.signIn
	}
	return r.later.signIn
}

// outcome is how a sign-in ended.
type outcome struct {
	signedIn bool // it is one at all
	known    bool
	number   int    // 0 is success
	code     string // the number as it is written, "" where it was not written so
}

func (r *Record) outcome() outcome {
	if r.later.first(askedOutcome) && r.later.form.outcome != nil {
		r.later.outcome = r.later.form.outcome(r)
	}
	return r.later.outcome
}

// outcomeOf reads how a sign-in ended from what says it.
func outcomeOf(said string) (o outcome, ok bool) {
	n, ok := integer(said)
	if !ok {
		return o, false
	}
	if plain(said) {
		o.code = said
	}
	o.number, o.known = n, true
	return o, true
}

// ErrorCode is a sign-in's error in digits, "" where the record says none.
func (r *Record) ErrorCode() string {
	switch o := r.outcome(); {
	case !o.known:
		return ""
	case o.code != "":
		return o.code
	default:
		return strconv.Itoa(o.number)
	}
}

// Country is where a sign-in came from, as far as it is known.
func (r *Record) Country() string {
	if r.kind != KindSignIn {
		return ""
	}
	return r.country()
}
