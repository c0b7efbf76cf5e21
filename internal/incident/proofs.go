package incident

import (
	"slices"
	"strings"
	"time"

	"cordon/internal/finding"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// sameAct is how close two records of one act of a person can lie.
const sameAct = 10 * time.Minute

// Proofs are the findings that count: not withdrawn, of at least medium level, and confirmed, or beside a confirmed one.
func (i *Incident) Proofs() []finding.Finding {
	confirmed := false
	var out []finding.Finding
	for _, f := range i.Findings {
		if f.Withdrawn == "" && finding.AtLeast(f.Level, "medium") {
			out = append(out, f)
			confirmed = confirmed || !f.Unconfirmed
		}
	}
	if !confirmed {
		return nil
	}
	return out
}

// IndependentProofs is the size of the largest set of findings any two of which are independent.
func (i *Incident) IndependentProofs() int {
	proofs := i.Proofs()
	most := 0
	for start := range proofs {
		set := []finding.Finding{proofs[start]}
		for _, f := range proofs {
			if !slices.ContainsFunc(set, func(g finding.Finding) bool { return !Independent(f, g) }) {
				set = append(set, f)
			}
		}
		most = max(most, len(set))
	}
	return most
}

// Decisive says whether a rule that is enough alone has fired.
func (i *Incident) Decisive() bool {
	return slices.ContainsFunc(i.Proofs(), func(f finding.Finding) bool { return f.Decisive })
}

// Independent says whether two findings are independent proofs: they share no record and no correlation id, their
// rules are of different kind, and they are not the same actor, target and operation within 10 minutes.
func Independent(a, b finding.Finding) bool {
	if a.Kind == b.Kind {
		return false
	}
	for _, p := range a.Proof {
		for _, q := range b.Proof {
			if p.Record == q.Record || p.Correlation != "" && p.Correlation == q.Correlation {
				return false
			}
		}
	}
	close := a.Time.Sub(b.Time).Abs() <= sameAct
	return !(close && sameID(a.Actor.ID, b.Actor.ID) && sameTarget(a, b))
}

func sameTarget(a, b finding.Finding) bool {
	for _, x := range a.Targets {
		for _, y := range b.Targets {
			if sameID(x.ID, y.ID) && equalFold(x.Operation, y.Operation) {
				return true
			}
		}
	}
	return false
}

// near is how close in time two records of one hand may lie to be told as such.
const near = 24 * time.Hour

// attributed says whether a proof is the attacker's: it belongs to the finding that opened the incident, or shares
// the session, or two of address, device and agent, with one that does. What the principal did by himself on the same
// day is not.
func (i *Incident) attributed(f finding.Finding, p finding.Proof) bool {
	at := slices.IndexFunc(i.Findings, func(f finding.Finding) bool { return f.Withdrawn == "" })
	if at < 0 || i.Findings[at].ID == f.ID {
		return true
	}
	opener := i.Findings[at]
	same := func(a, b string) int {
		if a != "" && a == b {
			return 1
		}
		return 0
	}
	for _, q := range opener.Proof {
		if sameID(q.Principal, i.Principal.ID) && p.Time.Sub(q.Time).Abs() <= near &&
			(same(p.Session, q.Session) == 1 || same(p.Address, q.Address)+same(p.Device, q.Device)+same(p.Agent, q.Agent) >= 2) {
			return true
		}
	}
	return false
}

// Severity is how grave the incident is for those who read a list: its gravest finding, raised by what else is open.
func (i *Incident) Severity() string {
	worst := finding.Levels[0]
	for _, f := range i.Findings {
		if f.Withdrawn == "" && finding.AtLeast(f.Level, worst) {
			worst = f.Level
		}
	}
	if i.Verdict == Compromised {
		worst = "critical"
	}
	return worst
}

// Children are the users that the actor made since t0: they are contained with him.
func (i *Incident) Children() []finding.Object {
	return i.objects(func(o finding.Object) bool { return o.Child })
}

// Credentials are those that the actor added to applications since t0, one object a key.
func (i *Incident) Credentials() []finding.Object {
	var out []finding.Object
	for _, o := range i.objects(func(o finding.Object) bool { return len(o.KeyIDs) > 0 }) {
		for _, key := range o.KeyIDs {
			one := o
			one.KeyIDs = []string{key}
			out = append(out, one)
		}
	}
	return out
}

func (i *Incident) objects(wanted func(finding.Object) bool) []finding.Object {
	var out []finding.Object
	for _, f := range i.Findings {
		if f.Withdrawn != "" || f.Time.Before(i.T0) || !sameID(f.Actor.ID, i.Principal.ID) {
			continue
		}
		for _, o := range f.Targets {
			same := func(have finding.Object) bool { return have.ID == o.ID && slices.Equal(have.KeyIDs, o.KeyIDs) }
			if o.ID != "" && wanted(o) && !slices.ContainsFunc(out, same) {
				out = append(out, o)
			}
		}
	}
	return out
}
