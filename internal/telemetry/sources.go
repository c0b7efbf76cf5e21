// Package telemetry tells a Prometheus server how Cordon does, when it is asked.
package telemetry

import (
	"context"
	"net/http"
	"strings"
	"time"

	"cordon/internal/sources"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

const (
	collectIn = 10 * time.Second
	inFlight  = 4
)

// Handler serves what the collectors measure, and how the process itself does.
func Handler(log *zap.Logger, own ...prometheus.Collector) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range append(own, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(log), MaxRequestsInFlight: inFlight, Timeout: collectIn}), nil
}

// Sources measures how far each source was read, and how full LOGS is.
type Sources struct{ Board *sources.Board }

var (
	seen      = prometheus.NewDesc("cordon_source_seen_timestamp_seconds", "The source's time up to which all of its partitions have been read.", []string{"source"}, nil)
	lag       = prometheus.NewDesc("cordon_source_lag_seconds", "How far behind now that time is.", []string{"source"}, nil)
	rate      = prometheus.NewDesc("cordon_source_records_per_second", "Records stored in the last minute, a second.", []string{"source"}, nil)
	dead      = prometheus.NewDesc("cordon_source_dead_letters_total", "Dead letters written: what could not be stored as a record.", []string{"source"}, nil)
	watermark = prometheus.NewDesc("cordon_source_watermark_timestamp_seconds", "The event time up to which all records of the category are expected to have come.", []string{"source", "category"}, nil)
	records   = prometheus.NewDesc("cordon_source_records_total", "Records stored.", []string{"source", "tenant", "category"}, nil)
	logsBytes = prometheus.NewDesc("cordon_logs_bytes", "Bytes that LOGS holds.", nil, nil)
	logsMax   = prometheus.NewDesc("cordon_logs_max_bytes", "Bytes that LOGS may hold; absent where it has no bound.", nil, nil)
	logsRatio = prometheus.NewDesc("cordon_logs_full_ratio", "How full LOGS is, from 0 to 1; 0 where it has no bound.", nil, nil)
)

// Describe implements prometheus.Collector.
func (Sources) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{seen, lag, rate, dead, watermark, records, logsBytes, logsMax, logsRatio} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s Sources) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectIn)
	defer cancel()
	report, err := s.Board.Report(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(logsBytes, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, clean(labels)...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), clean(labels)...)
	}
	for _, src := range report.Sources {
		counter(dead, src.Dead, src.Name)
		gauge(rate, src.Rate, src.Name)
		if !src.Seen.IsZero() { // it has nothing to say before: no metric is truer than one of 1970
			gauge(seen, seconds(src.Seen), src.Name)
			gauge(lag, src.Lag, src.Name)
		}
		for _, c := range src.Categories {
			if !c.Watermark.IsZero() {
				gauge(watermark, seconds(c.Watermark), src.Name, c.Name)
			}
			for _, t := range c.Tenants {
				counter(records, t.Records, src.Name, strings.ToLower(t.ID), c.Name)
			}
		}
	}
	gauge(logsBytes, float64(report.Logs.Bytes))
	if report.Logs.MaxBytes > 0 {
		gauge(logsMax, float64(report.Logs.MaxBytes))
	}
	gauge(logsRatio, report.Logs.Ratio)
}

// clean takes out of labels what is no UTF-8: a category that nobody knows is written by whoever sends it.
func clean(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
