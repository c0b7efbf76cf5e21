package record

import (
	"crypto/sha256"
	"encoding/hex"
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
	if root.Kind() != tape.Object {
		return nil, fmt.Errorf("a record is a JSON object, this is %s", root.Kind())
	}
	dec.rec = Record{Raw: raw, NotUTF8: !utf8.Valid(raw), root: root, properties: unwrap(find(root, "properties"))}
	r := &dec.rec
	if r.Category = r.category(); r.Category == "" {
		return nil, errors.New("no category, and not the shape of a sign-in or an audit record")
	}
	r.Tenant = r.tenant(d)
	kind := KindOf(r.Category)
	if r.Tenant == "" && kind != KindAzureActivity && kind != KindUnknown { // Azure Activity may name a subscription alone
		return nil, errors.New("no tenant: neither tenantId nor a resourceId with /tenants/{id}")
	}
	if len(r.Tenant) > maxName || len(r.Category) > maxName {
		return nil, fmt.Errorf("tenant has %d bytes, category %d: at most %d are expected", len(r.Tenant), len(r.Category), maxName)
	}
	if err := r.setTime(d); err != nil {
		return nil, err
	}
	dec.read(kind)
	r.ID = strings.ToLower(r.Tenant) + "/" + r.Category + "/" + r.key()
	return r, nil
}

// read fills in what the category's own form says.
func (dec *Decoder) read(kind Kind) {
	r := &dec.rec
	switch kind {
	case KindSignIn:
		dec.readSignIn()
	case KindAudit:
		switch r.Category {
		case IntuneAuditLogs:
			dec.readIntune()
		case ProvisioningLogs:
			dec.readProvisioning()
		default:
			dec.readAudit()
		}
	case KindRisk:
		dec.readRisk()
	case KindGraphActivity:
		r.graphActivity()
	case KindDefender:
		r.defender()
	case KindPartner:
		r.partner()
	case KindUnifiedAudit:
		dec.readUnified()
	case KindAzureActivity:
		r.activity()
	default:
		r.Operation = NormalOperation(text(find(r.root, "operationName")))
	}
}

// category finds the category, whatever its case, or tells it from the record's shape: bare records of exports and
// of Graph carry none, Log Analytics rows carry the audit category in its place.
func (r *Record) category() string {
	own := text(find(r.root, "category"))
	if unified := r.unifiedCategory(own); unified != "" {
		return unified
	}
	for _, name := range [...]string{own, text(find(r.root, "Type"))} {
		if len(name) > 3 && strings.EqualFold(name[:3], "aad") {
			name = name[3:] // Log Analytics has AADNonInteractiveUserSignInLogs
		}
		for i := range categories {
			c := &categories[i]
			if len(c.name) != len(name) || !strings.EqualFold(c.name, name) {
				continue
			}
			switch {
			case c.kind == KindAzureActivity && r.auditShape():
				return AuditLogs // "Policy" is an audit record's own category as well as one of Azure Activity
			case c.name == AuditLogs && r.intune():
				return IntuneAuditLogs
			}
			return c.name
		}
	}
	switch {
	case r.auditShape():
		return AuditLogs
	case r.value("createdDateTime").Exists() && r.value("userPrincipalName", "userId").Exists() && r.value("status").Exists():
		if r.value("isInteractive").Kind() == tape.False {
			return NonInteractiveUserSignInLogs
		}
		return SignInLogs
	case own != "" && find(r.root, "time").Exists():
		// Nobody has told us of it: it is stored raw and counted, if it came in an envelope.
		return own
	}
	return ""
}

// auditShape says that the record looks like one of AuditLogs, whatever it calls itself.
func (r *Record) auditShape() bool {
	return r.value("activityDateTime").Exists() && r.value("targetResources", "initiatedBy").Exists() ||
		r.value("loggedByService").Exists() && r.value("initiatedBy", "activityDisplayName").Exists()
}

func (r *Record) tenant(d Defaults) string {
	if t := r.organization(); t != "" {
		return t
	}
	// In a Log Analytics row TenantId is the workspace: AADTenantId and the resource come first.
	if t := text(find(r.root, "AADTenantId")); t != "" {
		return t
	}
	fromResource := ""
	if resource := text(find(r.root, "resourceId")); len(resource) > len(inTenant) && strings.EqualFold(resource[:len(inTenant)], inTenant) {
		fromResource, _, _ = strings.Cut(resource[len(inTenant):], "/")
	}
	own := text(find(r.root, "tenantId"))
	if find(r.root, "TimeGenerated").Exists() {
		return first(fromResource, d.Tenant, own)
	}
	return first(own, fromResource, d.Tenant)
}

const inTenant = "/tenants/"

// times are the members that tell when something happened, the best first. Risk records have two more of their own.
var times = []string{"createdDateTime", "activityDateTime"}

var timesByKind = map[Kind][]string{
	KindRisk:          {"activityDateTime", "detectedDateTime", "riskLastUpdatedDateTime", "lastUpdatedDateTime", "createdDateTime"},
	KindGraphActivity: {"timeGenerated"},
	KindDefender:      {"Timestamp"},
	KindUnifiedAudit:  {"CreationTime"}, // it bears no zone, and is UTC
	KindPartner:       {"firstObservedDateTime", "eventTime", "operationDate", "createdDateTime"},
}

func (r *Record) setTime(d Defaults) error {
	own, ok := timesByKind[KindOf(r.Category)]
	if !ok {
		own = times
	}
	var seen string
	try := func(v tape.Value) bool {
		s := text(v)
		if s == "" {
			return false
		}
		t, ok := ParseTime(s)
		if ok {
			r.Time = t
		} else {
			seen = s
		}
		return ok
	}
	found := false
	for _, name := range own {
		if found = try(r.value(name)); found {
			break
		}
	}
	found = found || try(find(r.root, "time")) || try(find(r.root, "TimeGenerated"))
	switch {
	case found:
	case !d.Enqueued.IsZero():
		r.Time = d.Enqueued.UTC()
	case !d.Assume.IsZero():
		r.Time = d.Assume.UTC()
	case seen != "":
		return fmt.Errorf("event time %q is in no form that Azure writes", clip(seen))
	default:
		return errors.New("no event time: neither createdDateTime, activityDateTime nor time")
	}
	if !d.Enqueued.IsZero() && r.Time.After(d.Enqueued.Add(5*time.Minute)) {
		r.Time, r.Clamped = d.Enqueued.UTC(), true
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// timeLayouts are the forms of time that were seen in real records (domain notes, logs 4.2). No zone is UTC.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"1/2/2006 3:04:05 PM",
	"1/2/2006 3:04:05 PM -07:00",
	"1/2/2006 15:04:05",
	"1/2/2006 15:04:05 -07:00",
}

// ParseTime reads a time in any form that Azure is known to write.
func ParseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.UTC().Year(); y < 1970 || y > 9998 {
				return time.Time{}, false // not a time that JSON or a query can carry
			}
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// keys are the members that name a record of a kind for good (domain notes, logs 4.1), joined where there are several:
// the state of a risk has the id of its user, and each change of it is a record of its own.
var keys = map[Kind][]string{
	KindSignIn:        {"id"},
	KindAudit:         {"id"},
	KindGraphActivity: {"requestId"},
	KindPartner:       {"id"},
}

var keysByCategory = map[string][]string{
	IntuneAuditLogs:               {"AuditEventId"},
	RiskyUsers:                    {"id", "riskLastUpdatedDateTime"},
	RiskyServicePrincipals:        {"id", "riskLastUpdatedDateTime"},
	UserRiskEvents:                {"id", "lastUpdatedDateTime"},
	ServicePrincipalRiskEvents:    {"id", "lastUpdatedDateTime"},
	PartnerFraudEvents:            {"eventId"},
	NetworkAccessTrafficLogs:      {"transactionId"},
	AdvancedHunting + "AlertInfo": {"AlertId", "Timestamp"},
}

// key is the record's own id, else the digest of its bytes.
func (r *Record) key() string {
	names, ok := keysByCategory[r.Category]
	if !ok {
		names = keys[KindOf(r.Category)]
	}
	key := ""
	switch KindOf(r.Category) {
	case KindUnifiedAudit:
		key = text(r.value("id", "OfficeId"))
	case KindAzureActivity:
		key = r.activityKey()
	}
	for i, name := range names {
		part := text(r.value(name))
		if i == 0 {
			if key = part; key == "" {
				break
			}
		} else if part != "" {
			key += "@" + part
		}
	}
	switch {
	case key == "":
		return r.Digest()
	case len(key) > maxName:
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	return key
}
