package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// object visits one record. The unified audit log's come bare from the Management Activity API, and as the AuditData
// of another object from Search-UnifiedAuditLog (a JSON text) and from Graph's audit search (an object): then what is
// inside is the record.
// https://learn.microsoft.com/powershell/module/exchange/search-unifiedauditlog
// https://learn.microsoft.com/graph/api/resources/security-auditlogrecord
func object(file string, n int, raw []byte, visit func(Item) error) error {
	inner, err := auditData(raw)
	if err != nil {
		return visit(Item{File: file, Line: n, Raw: raw, Err: err})
	}
	if inner != nil {
		raw = inner
	}
	return visit(Item{File: file, Line: n, Raw: raw})
}

// auditData is the unified audit record inside an object, nil where the object is a record itself.
func auditData(raw []byte) ([]byte, error) {
	if !bytes.Contains(raw, []byte("uditData")) {
		return nil, nil
	}
	var holder struct {
		AuditData    json.RawMessage // encoding/json takes auditData for it too
		CreationDate json.RawMessage
		Operations   json.RawMessage
		CreationTime json.RawMessage // what is a record already is left alone
	}
	if json.Unmarshal(raw, &holder) != nil || len(holder.AuditData) == 0 || len(holder.CreationTime) > 0 {
		return nil, nil
	}
	switch holder.AuditData[0] {
	case '{':
		if unifiedRecord(holder.AuditData) {
			return holder.AuditData, nil
		}
	case '"':
		var text string
		if err := json.Unmarshal(holder.AuditData, &text); err != nil {
			return nil, nil
		}
		if unifiedRecord([]byte(text)) {
			return []byte(strings.TrimSpace(text)), nil
		}
		if len(holder.CreationDate) > 0 || len(holder.Operations) > 0 {
			return nil, errAuditData
		}
	}
	return nil, nil
}

var errAuditData = errors.New("AuditData is not the JSON of a unified audit record (it has no CreationTime and Operation, or is cut off)")

// unifiedRecord tells the schema that all records of the unified audit log share.
// https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema#common-schema
func unifiedRecord(raw []byte) bool {
	var common struct {
		CreationTime string
		Operation    string
	}
	return json.Unmarshal(raw, &common) == nil && common.CreationTime != "" && common.Operation != ""
}
