package graphlogs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cordon/internal/record"
)

// PartnerCenter is what of Partner Center is read: *partnercenter.Client.
type PartnerCenter interface {
	// FraudEvents reads one page, counted from 1, of the fraud events of one status.
	FraudEvents(ctx context.Context, status string, page int) (items []json.RawMessage, more bool, err error)
	// AuditRecords reads one page of a day's audit records; next is the token of the page behind it, "" for none.
	AuditRecords(ctx context.Context, day time.Time, token string) (items []json.RawMessage, next string, err error)
}

// fraudStatuses are all that a fraud event can have (learn.microsoft.com/partner-center/developer/get-fraud-events).
var fraudStatuses = []string{"Active", "Investigating", "Resolved"}

// partnerPages asks Partner Center.
func (r *reader) partnerPages(ctx context.Context, from, to time.Time, store visit) error {
	if r.Category == record.PartnerFraudEvents {
		return r.fraudEvents(ctx, store)
	}
	return r.auditRecords(ctx, from, to, store)
}

// fraudEvents reads the whole list: it can be asked by status and page, and not by time.
func (r *reader) fraudEvents(ctx context.Context, store visit) error {
	for i, status := range fraudStatuses {
		for page := 1; ; page++ {
			var items []json.RawMessage
			var more bool
			err := r.ask(ctx, r.center, func(ctx context.Context) (err error) {
				items, more, err = r.cfg.PartnerCenter.FraudEvents(ctx, status, page)
				return err
			})
			if err != nil {
				return err
			}
			if more && page >= mostPages {
				return fmt.Errorf("there are more than %d pages of %s fraud events", mostPages, status)
			}
			if err := store(items, !more && i == len(fraudStatuses)-1); err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// auditRecords reads whole days, since days are what can be asked for.
func (r *reader) auditRecords(ctx context.Context, from, to time.Time, store visit) error {
	for d := from.UTC().Truncate(day); !d.After(to); d = d.Add(day) {
		token := ""
		for page := 1; ; page++ {
			var items []json.RawMessage
			var next string
			err := r.ask(ctx, r.center, func(ctx context.Context) (err error) {
				items, next, err = r.cfg.PartnerCenter.AuditRecords(ctx, d, token)
				return err
			})
			if err != nil {
				return err
			}
			if next != "" && (next == token || page >= mostPages) {
				return errors.New("the pages of a day's audit records have no end")
			}
			if err := store(items, next == "" && d.Add(day).After(to)); err != nil {
				return err
			}
			if next == "" {
				break
			}
			token = next
		}
	}
	return nil
}
