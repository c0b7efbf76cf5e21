package telemetry

import (
	"context"
	"strings"
	"time"

	"cordon/internal/sources"
)

// Sources measures how far each source was read, and how full LOGS is.
type Sources struct{ Board *sources.Board }

// Collect implements Collector.
func (s Sources) Collect(ctx context.Context) ([]Metric, error) {
	report, err := s.Board.Report(ctx)
	if err != nil {
		return nil, err
	}
	seen := Metric{Name: "cordon_source_seen_timestamp_seconds", Type: Gauge, Help: "The source's time up to which all of its partitions have been read."}
	lag := Metric{Name: "cordon_source_lag_seconds", Type: Gauge, Help: "How far behind now that time is."}
	watermark := Metric{Name: "cordon_source_watermark_timestamp_seconds", Type: Gauge, Help: "The event time up to which all records of the category are expected to have come."}
	records := Metric{Name: "cordon_source_records_total", Type: Counter, Help: "Records stored, by tenant and category."}
	dead := Metric{Name: "cordon_source_dead_letters_total", Type: Counter, Help: "Dead letters written: what could not be stored as a record."}
	for _, src := range report.Sources {
		name := Label{"source", src.Name}
		dead.Samples = append(dead.Samples, Sample{[]Label{name}, float64(src.Dead)})
		if !src.Seen.IsZero() { // it has nothing to say before: no metric is truer than one of 1970
			seen.Samples = append(seen.Samples, Sample{[]Label{name}, seconds(src.Seen)})
			lag.Samples = append(lag.Samples, Sample{[]Label{name}, src.Lag})
		}
		for _, c := range src.Categories {
			category := Label{"category", c.Name}
			if !c.Watermark.IsZero() {
				watermark.Samples = append(watermark.Samples, Sample{[]Label{name, category}, seconds(c.Watermark)})
			}
			for _, t := range c.Tenants {
				records.Samples = append(records.Samples, Sample{[]Label{name, {"tenant", strings.ToLower(t.ID)}, category}, float64(t.Records)})
			}
		}
	}
	value := func(name, help string, v float64) Metric {
		return Metric{Name: name, Type: Gauge, Help: help, Samples: []Sample{{Value: v}}}
	}
	out := []Metric{seen, watermark, lag, records, dead, value("cordon_logs_bytes", "Bytes that LOGS holds.", float64(report.Logs.Bytes))}
	if report.Logs.MaxBytes > 0 {
		out = append(out, value("cordon_logs_max_bytes", "Bytes that LOGS may hold; absent where it has no bound.", float64(report.Logs.MaxBytes)))
	}
	return append(out, value("cordon_logs_full_ratio", "How full LOGS is, from 0 to 1; 0 where it has no bound.", report.Logs.Ratio)), nil
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
