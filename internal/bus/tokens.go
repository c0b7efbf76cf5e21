package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Shards is the number of shards a tenant can fall into; it is fixed when the streams are created.
const Shards = 64

// Buckets is the number of parts into which a tenant's principals are divided inside LOGS, so that one
// principal's history can be read without reading the tenant's.
const Buckets = 64

// Token makes a subject token of any string: what consists of a-z, 0-9 and '-' stays as it is (capitals are
// folded, for tenant and object ids are written in both cases), anything else becomes a hash, so that a dot, a
// star or a megabyte in a name can neither escape its place nor hide a record.
func Token(s string) string {
	s = strings.ToLower(s)
	plain := s != "" && len(s) <= 64 && !strings.HasPrefix(s, hashed)
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
	}
	if plain {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hashed + hex.EncodeToString(sum[:16])
}

const hashed = "h--" // a plain token with this beginning is hashed too, so that nobody can forge one

// Bucket is the part of a tenant's LOGS subjects in which a principal's records stand.
func Bucket(principal string) string {
	h := uint32(2166136261) // FNV-1a, in place: it is asked for each record
	for i := range len(principal) {
		c := principal[i]
		if c >= utf8.RuneSelf {
			slow := fnv.New32a()
			_, _ = slow.Write([]byte(strings.ToLower(principal)))
			h = slow.Sum32()
			break
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint32(c)) * 16777619
	}
	return strconv.Itoa(int(h % Buckets))
}

// ShardOf is the shard that a tenant falls into, as the server's partition() computes it: FNV-1a of the token.
func ShardOf(tenant string) int {
	h := fnv.New32a()
	h.Write([]byte(Token(tenant))) // a hash never fails
	return int(h.Sum32() % Shards)
}

// LogSubject is where a record is published; a subject transform adds the shard in front of the tenant.
func LogSubject(tenant, category, principal string) string {
	return "in." + Token(tenant) + "." + Token(category) + "." + Bucket(principal)
}

// CheckpointSubject is where a source's checkpoint for one partition stands.
func CheckpointSubject(source, partition string) string {
	return "cp." + Token(source) + "." + Token(partition)
}

// SnapshotSubject is where one part of what a shard's detectors keep stands.
func SnapshotSubject(shard int, part string) string {
	return "$KV." + SnapshotsBucket + ".detectors." + strconv.Itoa(shard) + "." + part
}

// ShardSubjects are the records of one shard, and the checkpoints, which are every shard's.
func ShardSubjects(shard int) []string { return []string{"logs." + strconv.Itoa(shard) + ".>", "cp.>"} }

// ShardFindings are the findings about the tenants of one shard.
func ShardFindings(shard int) string { return "findings." + strconv.Itoa(shard) + ".>" }

// DeadLetterSubject is where input stands that could not be stored as a record.
func DeadLetterSubject(source, partition, position string) string {
	return "deadletter." + Token(source) + "." + Token(partition) + "." + Token(position)
}

// ReplayedSubject is where the mark stands that says that a dead letter was replayed. Letters and marks are one to one.
func ReplayedSubject(letter string) string {
	return "replayed." + strings.TrimPrefix(letter, "deadletter.")
}

// DeadLettersOf selects the letters of one source, or of all where source is empty.
func DeadLettersOf(source string) string {
	if source == "" {
		return "deadletter.>"
	}
	return "deadletter." + Token(source) + ".*.*"
}

// FindingSubject is where a finding about a tenant is published; a subject transform adds the shard.
func FindingSubject(tenant string) string { return "finding." + Token(tenant) }

// IncidentSubject is where all that happens to a principal's incidents is appended.
func IncidentSubject(homeTenant, principal string) string {
	return "incidents." + Token(homeTenant) + "." + Token(principal)
}

// StepSubject is where work in a tenant is published; a subject transform adds the shard.
func StepSubject(tenant string) string { return "step." + Token(tenant) }

// EvidenceSubject is where the records behind an incident are kept.
func EvidenceSubject(incident uint64) string {
	return "evidence." + strconv.FormatUint(incident, 10)
}

// AuditSubject is where acts outside any incident are kept.
func AuditSubject(tenant string) string { return "audit." + Token(tenant) }

// RecordsOf selects the records of one principal, whatever their category (and of the others in its bucket).
func RecordsOf(tenant, principal string) string {
	return "logs.*." + Token(tenant) + ".*." + Bucket(principal)
}

// RecordsIn selects a tenant's records, those of all tenants where it is empty.
func RecordsIn(tenant string) string {
	if tenant == "" {
		return "logs.>"
	}
	return "logs.*." + Token(tenant) + ".>"
}

// FindingsIn selects the findings about a tenant, those about all where it is empty.
func FindingsIn(tenant string) string {
	if tenant == "" {
		return "findings.>"
	}
	return "findings.*." + Token(tenant)
}
