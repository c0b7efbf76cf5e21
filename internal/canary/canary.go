// Package canary makes a harmless change of Cordon's own object in each tenant, again and again, so that the audit log
// has something to say every quarter of an hour: where the change does not come back, the log has gone silent, however
// small the tenant is (detectors/silence decides that).
//
// The change is the notes of Cordon's own service principal, a free text for people who run it (reference of
// servicePrincipal, property notes). It needs Application.ReadWrite.OwnedBy, which also lets Cordon find the object,
// and that the service principal be among its own owners; where Cordon holds Application.ReadWrite.All for
// containing applications, that is enough. Entra is expected to write "Update service principal" for it (operations
// list: domain notes, logs 4.4); that it does so for a change of the notes alone, and names the property Notes, is
// unconfirmed.
//
// Each change stands in AUDIT before it is made, and what came of it afterwards: without that, the detectors would take
// it for somebody else's use of Cordon's identity (architecture, rule 8).
package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/fault"
	"cordon/internal/graph"
	"cordon/internal/incident"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"
)

// How often a canary is sent by default, and how much later again to a tenant that refuses it.
const (
	Every        = 15 * time.Minute
	afterRefusal = 4
	answerWithin = 30 * time.Second
)

// Action is what the journal calls the change.
const Action = "canary"

// Mark begins the notes.
const Mark = "cordon canary "

// Operations are what Entra may call the change.
var Operations = []string{"Update service principal", "Update application"}

// Tenant is one that Cordon may write in.
type Tenant struct {
	ID    string
	Graph *graph.Client
}

// Config says whose canaries are sent where.
type Config struct {
	AppID   string // Cordon's application
	Tenants []Tenant
	Every   time.Duration // Every where zero
}

// Sender sends canaries.
type Sender struct {
	cfg   Config
	bus   *bus.Bus
	clock clock.Clock
	log   *zap.Logger

	mu      sync.Mutex
	objects map[string]string // Cordon's service principal, by tenant
}

// New returns a sender; Run sends.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) *Sender {
	if cfg.Every <= 0 {
		cfg.Every = Every
	}
	return &Sender{cfg: cfg, bus: b, clock: c, log: log, objects: map[string]string{}}
}

// Run sends a canary to each tenant at once and then at intervals, until ctx ends. A tenant that refuses is asked
// again later, less often: the refusal is on the record, and its rhythm decides meanwhile.
func (s *Sender) Run(ctx context.Context) error {
	var tenants sync.WaitGroup
	for _, t := range s.cfg.Tenants {
		tenants.Go(func() { s.keep(ctx, t) })
	}
	tenants.Wait()
	<-ctx.Done()
	return nil
}

func (s *Sender) keep(ctx context.Context, t Tenant) {
	for ctx.Err() == nil {
		wait := s.cfg.Every
		if err := s.Send(ctx, t); err != nil && ctx.Err() == nil {
			s.log.Warn("sending a canary", zap.String("tenant", t.ID), zap.Error(err))
			if fault.Of(err) == fault.Forbidden {
				wait *= afterRefusal
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// Send makes the change once: on the record first, then the call, then what came of it.
func (s *Sender) Send(ctx context.Context, t Tenant) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	object, err := s.object(ctx, t)
	if err != nil {
		return err
	}
	nonce, now := nuid.Next(), s.clock.Now()
	notes := Mark + now.Format(time.RFC3339) + " " + nonce
	body := models.NewServicePrincipal()
	body.SetNotes(&notes)
	request, err := t.Graph.Plan(t.Graph.ServicePrincipals().ByServicePrincipalId(object).ToPatchRequestInformation(ctx, body, nil))
	if err != nil {
		return err
	}
	ref := incident.Ref{Place: Action + "/" + nonce, Round: 1}
	started := incident.StartedData{Ref: ref, Attempt: 1, Action: Action, Tenant: t.ID, Objects: []string{object},
		Footprint: Operations, Requests: []string{request.String()}}
	if err := s.journal(ctx, t, incident.CanarySent, started); err != nil {
		return err
	}
	call, stop := context.WithTimeout(ctx, answerWithin)
	failed := request.Send(call)
	stop()
	kind, finished := incident.CanaryDone, incident.FinishedData{Ref: ref, Attempt: 1}
	if failed != nil {
		kind, finished.Class, finished.Error = incident.CanaryFailed, string(fault.Of(failed)), failed.Error()
		if fault.Of(failed) == fault.NotFound {
			s.forget(t) // it has been made anew under another id
		}
	}
	if err := s.journal(ctx, t, kind, finished); err != nil {
		return errors.Join(failed, err)
	}
	if failed != nil {
		return fmt.Errorf("changing the notes of Cordon's service principal: %w", failed)
	}
	return nil
}

func (s *Sender) journal(ctx context.Context, t Tenant, kind string, data any) error {
	e, err := incident.New(kind, incident.Cordon, Action, s.clock.Now(), data)
	if err != nil {
		return err
	}
	return incident.Journal(ctx, s.bus, bus.AuditSubject(t.ID), e)
}

// object is the id of Cordon's service principal in a tenant.
func (s *Sender) object(ctx context.Context, t Tenant) (string, error) {
	key := strings.ToLower(t.ID)
	s.mu.Lock()
	id := s.objects[key]
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	filter := "appId eq '" + strings.ReplaceAll(s.cfg.AppID, "'", "''") + "'"
	page, err := t.Graph.ServicePrincipals().Get(ctx, &serviceprincipals.ServicePrincipalsRequestBuilderGetRequestConfiguration{
		QueryParameters: &serviceprincipals.ServicePrincipalsRequestBuilderGetQueryParameters{Filter: &filter, Select: []string{"id", "appId"}}})
	if err != nil {
		return "", fmt.Errorf("looking for Cordon's service principal: %w", graph.Fault(err))
	}
	for _, p := range page.GetValue() {
		if p.GetId() != nil {
			id = *p.GetId()
		}
	}
	if id == "" {
		return "", errors.New("looking for Cordon's service principal: there is none of application " + s.cfg.AppID)
	}
	s.mu.Lock()
	s.objects[key] = id
	s.mu.Unlock()
	return id, nil
}

func (s *Sender) forget(t Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, strings.ToLower(t.ID))
}

// Nonce tells which canary a journal entry is about; ok is false where it is about something else.
func Nonce(r incident.Ref) (nonce string, ok bool) { return strings.CutPrefix(r.Place, Action+"/") }

// NonceOf reads the nonce from the notes that a record shows, which may stand in a JSON list; shown is false where
// they are not a canary's.
func NonceOf(notes string) (nonce string, shown bool) {
	var list []string
	if json.Unmarshal([]byte(notes), &list) == nil && len(list) == 1 {
		notes = list[0]
	}
	words := strings.Fields(notes)
	if !strings.HasPrefix(notes, Mark) || len(words) != 4 {
		return "", false
	}
	return words[3], true
}
