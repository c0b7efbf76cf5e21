package record

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"cordon/internal/tape"
)

// keyNames are the members that name a record for good (domain notes, logs 4.1); the second, where there is one, joins
// the first: the state of a risk has the id of its user, and each change of it is a record of its own.
func keyNames(category string, kind Kind) (names [2]tape.Name, count int) {
	switch category {
	case IntuneAuditLogs:
		return [2]tape.Name{cAuditEventId}, 1
	case RiskyUsers, RiskyServicePrincipals:
		return [2]tape.Name{nId, nRiskLastUpdatedDateTime}, 2
	case UserRiskEvents, ServicePrincipalRiskEvents:
		return [2]tape.Name{nId, nLastUpdatedDateTime}, 2
	case PartnerFraudEvents:
		return [2]tape.Name{nEventId}, 1
	case NetworkAccessTrafficLogs:
		return [2]tape.Name{nTransactionId}, 1
	case AdvancedHunting + "AlertInfo":
		return [2]tape.Name{cAlertId, cTimestamp}, 2
	}
	switch kind {
	case KindSignIn, KindAudit, KindPartner:
		return [2]tape.Name{nId}, 1
	case KindGraphActivity:
		return [2]tape.Name{nRequestId}, 1
	}
	return names, 0
}

// identify gives the record its ID.
func (dec *Decoder) identify() {
	r, id := &dec.rec, AppendLower(dec.id[:0], dec.rec.Tenant)
	id = append(append(append(id, '/'), r.Category...), '/')
	from := len(id)
	id = r.appendKey(id, r.kind)
	switch key := id[from:]; {
	case len(key) == 0:
		sum := sha256.Sum256(r.Raw)
		id = hex.AppendEncode(id, sum[:])
	case len(key) > maxName:
		sum := sha256.Sum256(key)
		id = hex.AppendEncode(id[:from], sum[:])
	}
	r.ID, dec.id = dec.keep(id), id[:0]
}

// idPiece is the memory, in bytes, that the IDs of a Decoder's records share from the second on.
const idPiece = 4 << 10

// keep makes a text of an ID. It is not written over: what keeps one keeps a piece of memory.
func (dec *Decoder) keep(id []byte) string {
	if dec.ids == nil || dec.ids.Cap()-dec.ids.Len() < len(id) {
		size := idPiece
		if dec.ids == nil { // perhaps there is no other
			size = 0
		}
		dec.ids = &strings.Builder{}
		dec.ids.Grow(max(size, len(id)))
	}
	from := dec.ids.Len()
	dec.ids.Write(id)
	return dec.ids.String()[from:]
}

// appendKey adds the record's own id, nothing where it has none.
func (r *Record) appendKey(to []byte, kind Kind) []byte {
	switch kind {
	case KindUnifiedAudit:
		return append(to, text(r.value(nId, cOfficeId))...)
	case KindAzureActivity:
		return r.appendActivityKey(to)
	}
	names, count := keyNames(r.Category, kind)
	for i, name := range names[:count] {
		part := text(r.value(name))
		switch {
		case i == 0 && part == "":
			return to
		case i > 0 && part != "":
			to = append(to, '@')
		}
		to = append(to, part...)
	}
	return to
}
