package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fastjson"
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

// Decode reads a record. Its error says what was expected and not found; the bytes are then a dead letter.
// raw is kept and must not be changed afterwards.
func Decode(raw []byte, d Defaults) (*Record, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("record has %d bytes, at most %d are stored", len(raw), MaxBytes)
	}
	var parser fastjson.Parser // bounds nesting to 300 levels
	root, err := parser.ParseBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing JSON: %s", firstLine(err))
	}
	if root.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("a record is a JSON object, this is %s", root.Type())
	}
	sum := sha256.Sum256(raw)
	r := &Record{Raw: raw, root: root, Digest: hex.EncodeToString(sum[:])}
	if r.Category = r.category(); r.Category == "" {
		return nil, errors.New("no category, and not the shape of a sign-in or an audit record" + r.hint())
	}
	r.Tenant = r.tenant(d)
	if r.Tenant == "" && r.Decoded() && KindOf(r.Category) != KindAzureActivity { // that may name a subscription alone
		return nil, errors.New("no tenant: neither tenantId nor a resourceId with /tenants/{id}")
	}
	if len(r.Tenant) > maxName || len(r.Category) > maxName {
		return nil, fmt.Errorf("tenant has %d bytes, category %d: at most %d are expected", len(r.Tenant), len(r.Category), maxName)
	}
	if err := r.setTime(d); err != nil {
		return nil, err
	}
	switch r.Category {
	case AuditLogs:
		r.audit()
	case SignInLogs, NonInteractiveUserSignInLogs:
		r.signIn()
	case Administrative, Security, Policy:
		r.activity()
	}
	r.ID = strings.ToLower(r.Tenant) + "/" + r.Category + "/" + r.key()
	return r, nil
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}

// hint names the forms that people most often feed by mistake.
func (r *Record) hint() string {
	if text(find(r.root, "Workload")) != "" || text(find(r.root, "OfficeWorkload")) != "" {
		return " (a Microsoft 365 unified audit record: it has no decoder yet)"
	}
	return ""
}

// otherCategories are Azure Monitor's categories that are stored without a decoder (domain notes, logs 4.1).
var otherCategories = []string{
	"ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs", "MicrosoftServicePrincipalSignInLogs", "ProvisioningLogs",
	"ADFSSignInLogs", "RiskyUsers", "UserRiskEvents", "RiskyServicePrincipals", "ServicePrincipalRiskEvents",
	"MicrosoftGraphActivityLogs", "EnrichedOffice365AuditLogs", "NetworkAccessTrafficLogs",
	"CustomSecurityAttributeAuditLogs", "Administrative", "Security", "Policy", "Alert", "ServiceHealth", "ResourceHealth", "Recommendation", "Autoscale",
}

// category finds the Azure Monitor category, whatever its case, or tells it from the record's shape: bare records
// of exports and of Graph carry none, Log Analytics rows carry the audit category in its place.
func (r *Record) category() string {
	audit := r.value("activityDateTime") != nil && r.value("targetResources", "initiatedBy") != nil ||
		r.value("loggedByService") != nil && r.value("initiatedBy", "activityDisplayName") != nil
	for _, name := range []string{text(find(r.root, "category")), text(find(r.root, "Type"))} {
		switch folded := strings.TrimPrefix(strings.ToLower(name), "aad"); folded {
		case "auditlogs":
			return AuditLogs
		case "signinlogs":
			return SignInLogs
		case "noninteractiveusersigninlogs":
			return NonInteractiveUserSignInLogs
		case "customsecurityattributeauditlogs":
			return "CustomSecurityAttributeAuditLogs" // of an audit record's shape, and yet a log of its own
		case "":
		default:
			if audit {
				return AuditLogs // "Policy" is an audit record's own category as well as one of Azure Activity
			}
			for _, other := range otherCategories {
				if strings.EqualFold(other, folded) {
					return other
				}
			}
		}
	}
	switch {
	case audit:
		return AuditLogs
	case r.value("createdDateTime") != nil && r.value("userPrincipalName", "userId") != nil && r.value("status") != nil:
		if v := r.value("isInteractive"); v != nil && v.Type() == fastjson.TypeFalse {
			return NonInteractiveUserSignInLogs
		}
		return SignInLogs
	}
	// A category that nobody has told us of is stored raw and counted, if it came in an envelope.
	if name := text(find(r.root, "category")); name != "" && find(r.root, "time") != nil {
		return name
	}
	return ""
}

func (r *Record) tenant(d Defaults) string {
	// In a Log Analytics row TenantId is the workspace: AADTenantId and the resource come first.
	if t := text(find(r.root, "AADTenantId")); t != "" {
		return t
	}
	resource := text(find(r.root, "resourceId"))
	fromResource := ""
	if i := strings.Index(strings.ToLower(resource), "/tenants/"); i >= 0 {
		fromResource, _, _ = strings.Cut(resource[i+len("/tenants/"):], "/")
	}
	own := text(find(r.root, "tenantId"))
	if find(r.root, "TimeGenerated") != nil {
		return first(fromResource, d.Tenant, own)
	}
	return first(own, fromResource, d.Tenant)
}

func (r *Record) setTime(d Defaults) error {
	var seen string
	for _, v := range []*fastjson.Value{r.value("createdDateTime"), r.value("activityDateTime"), find(r.root, "time"), find(r.root, "TimeGenerated")} {
		s := text(v)
		if s == "" {
			continue
		}
		if t, ok := ParseTime(s); ok {
			r.Time = t
			break
		}
		seen = s
	}
	switch {
	case !r.Time.IsZero():
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

// key is the record's own id (domain notes, logs 4.1), else the digest of its bytes.
func (r *Record) key() string {
	id := ""
	switch r.Category {
	case AuditLogs, SignInLogs, NonInteractiveUserSignInLogs:
		id = text(r.value("id"))
	case Administrative, Security, Policy:
		id = r.activityKey()
	}
	if len(id) > 256 {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])
	}
	return first(id, r.Digest)
}
