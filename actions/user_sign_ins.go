package actions

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/internal/record"
)

// SignIns is what Cordon's own store of the stream says about a principal: since when the attacker was there, from
// where, and whether he got in.
type SignIns struct {
	T0          time.Time `json:"t0,omitzero"` // earliest record attributed to him
	Records     int       `json:"records"`     // of the principal that were read
	Attributed  int       `json:"attributed"`
	Addresses   []string  `json:"addresses,omitempty"`
	Countries   []string  `json:"countries,omitempty"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"` // of an attributed sign-in
}

// A record is the attacker's if it shares a session, or two of address, device and agent, with one that is known
// to be his, within 24 hours; looking back 30 days (architecture, t0).
const (
	lookBack = 30 * 24 * time.Hour
	near     = 24 * time.Hour
)

var userSignIns = Action{
	Spec: Spec{Name: "user.sign-ins", Phase: "confirm", Summary: "Read the principal's records of the last 30 days from Cordon's own store, and tell which are the attacker's.",
		Says: "Read the records of {target}", Target: "user", Params: []Param{{Name: "since", Summary: "how many days to look back, at most 30d"}}, Example: "- read: user.sign-ins"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		back := lookBack
		if days, err := strconv.Atoi(strings.TrimSuffix(c.Param("since"), "d")); err == nil && days > 0 {
			back = min(time.Duration(days)*24*time.Hour, lookBack)
		}
		var all []trace
		err := c.Records.Of(ctx, c.Access.Tenant, c.Target().ID, c.Since(back), func(r *record.Record) { all = append(all, traceOf(r)) })
		if err != nil {
			return nil, err
		}
		return attribute(all, known(c)), nil
	},
}

// trace is what tells one hand from another in a record.
type trace struct {
	id                              string
	at                              time.Time
	address, device, agent, session string
	country                         string
	signedIn                        bool
}

func traceOf(r *record.Record) trace {
	t := trace{id: r.ID, at: r.Time, address: r.Actor.Address}
	if s := r.SignIn(); s != nil {
		t.address, t.device, t.agent, t.session, t.country = s.Address, s.Device, s.Agent, s.Session, s.Country
		t.signedIn = s.HasError && s.Error == 0
	}
	return t
}

// known are the records that findings have already pinned on the attacker.
func known(c *Call) map[string]bool {
	ids := map[string]bool{}
	for _, f := range c.Incident.Proofs() {
		for _, p := range f.Proof {
			if p.Principal == c.Target().ID {
				ids[p.Record] = true
			}
		}
	}
	return ids
}

// attribute spreads from the known records to those that share enough with them, until no more join.
func attribute(all []trace, known map[string]bool) SignIns {
	slices.SortFunc(all, func(a, b trace) int { return a.at.Compare(b.at) })
	his := make([]bool, len(all))
	var queue []int
	for i, t := range all {
		if known[t.id] {
			his[i] = true
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		from := all[queue[0]]
		queue = queue[1:]
		for i, t := range all {
			if !his[i] && t.at.Sub(from.at).Abs() <= near && sameHand(from, t) {
				his[i] = true
				queue = append(queue, i)
			}
		}
	}
	out := SignIns{Records: len(all)}
	for i, t := range all {
		if !his[i] {
			continue
		}
		out.Attributed++
		if out.T0.IsZero() {
			out.T0 = t.at
		}
		if t.signedIn {
			out.LastSuccess = t.at
		}
		if t.address != "" && !slices.Contains(out.Addresses, t.address) {
			out.Addresses = append(out.Addresses, t.address)
		}
		if t.country != "" && !slices.Contains(out.Countries, t.country) {
			out.Countries = append(out.Countries, t.country)
		}
	}
	return out
}

func sameHand(a, b trace) bool {
	same := func(x, y string) int {
		if x != "" && x == y {
			return 1
		}
		return 0
	}
	return same(a.session, b.session) == 1 || same(a.address, b.address)+same(a.device, b.device)+same(a.agent, b.agent) >= 2
}
