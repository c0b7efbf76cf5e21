package azuremonitor

import (
	"encoding/json"
	"fmt"
	"time"
)

// Envelope is what diagnostic settings write around a record.
type Envelope struct {
	Time      time.Time
	Category  string
	Tenant    string
	Operation string
}

// Wrap puts an object that a service's API returned into the form of the stream: its bytes, exactly as they came,
// become the record's properties. The same object gives the same bytes.
func Wrap(e Envelope, properties []byte) ([]byte, error) {
	head, err := json.Marshal(struct {
		Time      string `json:"time,omitempty"`
		Category  string `json:"category"`
		Tenant    string `json:"tenantId,omitempty"`
		Operation string `json:"operationName,omitempty"`
	}{stamp(e.Time), e.Category, e.Tenant, e.Operation})
	if err != nil {
		return nil, fmt.Errorf("wrapping a record: %w", err)
	}
	const name = `,"properties":`
	out := make([]byte, 0, len(head)+len(name)+len(properties))
	out = append(out, head[:len(head)-1]...)
	out = append(out, name...)
	out = append(out, properties...)
	return append(out, '}'), nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
