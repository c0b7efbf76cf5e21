package telemetry

import (
	"cordon/detectors/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// Rules counts what the rules find, since the process began, and what exceptions suppress, since the shards that this
// instance holds began to keep state.
type Rules struct{ Ledger *ledger.Ledger }

var (
	findings   = prometheus.NewDesc("cordon_findings_total", "Findings raised, by rule and mode: on, audit, or suppressed where an exception suppressed them.", []string{"rule", "mode"}, nil)
	suppressed = prometheus.NewDesc("cordon_suppressed_total", "Records that an exception kept from a rule, those included that only a correlation would have counted.", []string{"rule", "exception"}, nil)
)

var broken = prometheus.NewDesc("cordon_rules_broken", "1 while the folder of rules has changed and cannot be read: the rules before go on.", nil, nil)

// Describe implements prometheus.Collector.
func (Rules) Describe(ch chan<- *prometheus.Desc) {
	ch <- findings
	ch <- suppressed
	ch <- broken
}

// Collect implements prometheus.Collector.
func (r Rules) Collect(ch chan<- prometheus.Metric) {
	value := 0.0
	if r.Ledger.IsBroken() {
		value = 1
	}
	ch <- prometheus.MustNewConstMetric(broken, prometheus.GaugeValue, value)
	for of, n := range r.Ledger.Totals() {
		ch <- prometheus.MustNewConstMetric(findings, prometheus.CounterValue, float64(n), clean([]string{of.Rule, of.Mode})...)
	}
	for by, n := range r.Ledger.Suppressed() {
		ch <- prometheus.MustNewConstMetric(suppressed, prometheus.CounterValue, float64(n), clean([]string{by.Rule, by.Exception})...)
	}
}
