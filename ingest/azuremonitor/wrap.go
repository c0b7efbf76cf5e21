package azuremonitor

import (
	"encoding/json"
	"time"
)

// Envelope is what diagnostic settings write around a record.
type Envelope struct {
	Time      time.Time
	Category  string
	Tenant    string
	Operation string
}

// Wrap puts an object that a service's API returned into the form of the stream: its bytes, as they came, become
// the record's properties. The same object gives the same bytes.
func Wrap(e Envelope, properties []byte) ([]byte, error) {
	return json.Marshal(struct {
		Time       string          `json:"time,omitempty"`
		Category   string          `json:"category"`
		Tenant     string          `json:"tenantId,omitempty"`
		Operation  string          `json:"operationName,omitempty"`
		Properties json.RawMessage `json:"properties"`
	}{stamp(e.Time), e.Category, e.Tenant, e.Operation, properties})
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
