package record

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cordon/internal/tape"
)

// MaxBytes is the largest record that is stored as one; a larger one is a dead letter.
const MaxBytes = 1 << 20

// maxName bounds tenant and category: they stand in headers, which the server bounds too, so that a record with an
// endless one could never be stored and would hold up its partition for ever.
const maxName = 256

// Defaults fill what a record does not say itself.
type Defaults struct {
	Tenant   string    // for exports that name none
	Enqueued time.Time // when the record reached the hub; zero for files
	Assume   time.Time // event time of a record without any, in files
}

// Decoder decodes one record after another in the same memory.
type Decoder struct {
	doc     tape.Doc
	rec     Record
	signIn  SignIn
	targets []Target
	changes []Change

	identified []identity // of a unified audit record
	id         []byte     // to write the record's ID in
	ids        *strings.Builder
}

// Decode reads a record that is its caller's for good. Its error says what was expected and not found; the bytes are
// then a dead letter. raw is kept and must not be changed afterwards.
func Decode(raw []byte, d Defaults) (*Record, error) { return new(Decoder).Decode(raw, d) }

// Decode reads a record; it and all its texts hold until the next call.
func (dec *Decoder) Decode(raw []byte, d Defaults) (*Record, error) {
	if len(raw) > MaxBytes {
		return nil, errTooLarge(raw)
	}
	root, err := dec.doc.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing JSON %w", err)
	}
	return dec.DecodeValue(root, raw, d)
}

func errTooLarge(raw []byte) error {
	return fmt.Errorf("record has %d bytes, at most %d are stored", len(raw), MaxBytes)
}

// DecodeValue reads a record whose bytes, raw, have been parsed already.
func (dec *Decoder) DecodeValue(root tape.Value, raw []byte, d Defaults) (*Record, error) {
	if len(raw) > MaxBytes {
		return nil, errTooLarge(raw)
	}
	if err := dec.begin(root, raw, !root.ASCII() && !utf8.Valid(raw)); err != nil {
		return nil, err
	}
	r := &dec.rec
	if r.Category, r.kind = r.category(); r.Category == "" {
		return nil, errors.New("no category, and not the shape of a sign-in or an audit record")
	}
	r.Tenant = r.tenant(r.kind, d)
	if r.Tenant == "" && r.kind != KindAzureActivity && r.kind != KindUnknown { // Azure Activity may name a subscription alone
		return nil, errors.New("no tenant: neither tenantId nor a resourceId with /tenants/{id}")
	}
	if len(r.Tenant) > maxName || len(r.Category) > maxName {
		return nil, fmt.Errorf("tenant has %d bytes, category %d: at most %d are expected", len(r.Tenant), len(r.Category), maxName)
	}
	if err := r.setTime(r.kind, d); err != nil {
		return nil, err
	}
	dec.read()
	dec.identify()
	return r, nil
}

// Stored is what was found out about a record when it was stored, and need not be again.
type Stored struct {
	ID, Tenant, Category string
	Time                 time.Time
	Clamped, NotUTF8     bool
	revision             revision
}

// DecodeStored is Decode for a record that Decode has read before, at a part of its cost: the bytes are taken for a
// record's, and what is known of it is believed. Of other bytes it reads any record, or none.
func (dec *Decoder) DecodeStored(raw []byte, known Stored) (*Record, error) {
	if len(raw) > MaxBytes {
		return nil, errTooLarge(raw)
	}
	root, err := dec.doc.ParseTrusted(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing stored JSON %w", err)
	}
	if err := dec.begin(root, raw, known.NotUTF8); err != nil {
		return nil, err
	}
	r := &dec.rec
	r.ID, r.Tenant, r.Category, r.kind, r.Time, r.Clamped = known.ID, known.Tenant, known.Category, KindOf(known.Category), known.Time, known.Clamped
	r.revision = known.revision
	dec.read()
	return r, nil
}

// begin makes room for another record.
func (dec *Decoder) begin(root tape.Value, raw []byte, notUTF8 bool) error {
	if root.Kind() != tape.Object {
		return fmt.Errorf("a record is a JSON object, this is %s", root.Kind())
	}
	r := &dec.rec
	*r = Record{}
	r.Raw, r.NotUTF8, r.root, r.properties, r.later.dec = raw, notUTF8, root, unwrap(find(root, nProperties)), dec
	return nil
}

// read fills in what was done and who did it.
func (dec *Decoder) read() {
	r := &dec.rec
	f := formOf(r.Category, r.kind)
	r.later.form = f
	r.Operation = f.operation(r)
	if f.actor != nil {
		r.Actor = f.actor(r)
	}
}

// category finds the category, whatever its case, or tells it from the record's shape: bare records of exports and
// of Graph carry none, Log Analytics rows carry the audit category in its place.
func (r *Record) category() (string, Kind) {
	own := text(find(r.root, nCategory))
	if unified := r.unifiedCategory(own); unified != "" {
		return unified, KindUnifiedAudit
	}
	for _, name := range [...]string{own, text(find(r.root, cType))} {
		if len(name) > 3 && strings.EqualFold(name[:3], "aad") {
			name = name[3:] // Log Analytics has AADNonInteractiveUserSignInLogs
		}
		c := categoryOf(name)
		switch {
		case c == nil:
			continue
		case c.kind == KindAzureActivity && r.auditShape():
			return AuditLogs, KindAudit // "Policy" is an audit record's own category as well as one of Azure Activity
		case c.name == AuditLogs && r.intune():
			return IntuneAuditLogs, KindAudit
		}
		return c.name, c.kind
	}
	switch {
	case r.auditShape():
		return AuditLogs, KindAudit
	case r.value(nCreatedDateTime).Exists() && r.value(nUserPrincipalName, nUserId).Exists() && r.value(nStatus).Exists():
		if r.value(nIsInteractive).Kind() == tape.False {
			return NonInteractiveUserSignInLogs, KindSignIn
		}
		return SignInLogs, KindSignIn
	case own != "" && find(r.root, nTime).Exists():
		// Nobody has told us of it: it is stored raw and counted, if it came in an envelope.
		return own, KindOf(own)
	}
	return "", KindUnknown
}

// auditShape says that the record looks like one of AuditLogs, whatever it calls itself.
func (r *Record) auditShape() bool {
	return r.value(nActivityDateTime).Exists() && r.value(nTargetResources, nInitiatedBy).Exists() ||
		r.value(nLoggedByService).Exists() && r.value(nInitiatedBy, nActivityDisplayName).Exists()
}

func (r *Record) tenant(kind Kind, d Defaults) string {
	if kind == KindUnifiedAudit {
		if t := r.organization(); t != "" {
			return t
		}
	}
	// In a Log Analytics row TenantId is the workspace: AADTenantId and the resource come first.
	if t := text(find(r.root, cAADTenantId)); t != "" {
		return t
	}
	own, row := text(find(r.root, nTenantId)), find(r.root, cTimeGenerated).Exists()
	if own != "" && !row {
		return own
	}
	fromResource := ""
	if resource := text(find(r.root, nResourceId)); len(resource) > len(inTenant) && strings.EqualFold(resource[:len(inTenant)], inTenant) {
		fromResource, _, _ = strings.Cut(resource[len(inTenant):], "/")
	}
	if row {
		return first(fromResource, d.Tenant, own)
	}
	return first(own, fromResource, d.Tenant)
}

const inTenant = "/tenants/"
