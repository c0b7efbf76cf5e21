// Package telemetry tells a Prometheus server how Cordon does. A Collector hands over what it measures when it is
// asked; Handler writes that in Prometheus' text format (version 0.0.4,
// https://prometheus.io/docs/instrumenting/exposition_formats/).
package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// The types of metrics.
const (
	Gauge   = "gauge"
	Counter = "counter"
)

// Metric is one metric with all of its samples.
type Metric struct {
	Name, Help, Type string
	Samples          []Sample
}

// Sample is one value, told apart from others by its labels.
type Sample struct {
	Labels []Label
	Value  float64
}

// Label is a name and a value.
type Label struct{ Name, Value string }

// Collector measures something when it is asked.
type Collector interface {
	Collect(ctx context.Context) ([]Metric, error)
}

// collectTime bounds one scrape; Prometheus waits ten seconds by default.
const collectTime = 5 * time.Second

// Handler answers with what the collectors measure, whole or not at all. Who may ask is the caller's business.
func Handler(log *zap.Logger, collectors ...Collector) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), collectTime)
		defer cancel()
		var out bytes.Buffer
		for _, c := range collectors {
			metrics, err := c.Collect(ctx)
			if err != nil {
				log.Warn("collecting metrics", zap.Error(err))
				http.Error(w, "Cordon could not measure itself; its log says why", http.StatusInternalServerError)
				return
			}
			for _, m := range metrics {
				write(&out, m)
			}
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = out.WriteTo(w) // the reader has gone if this fails
	})
}

var (
	helpText   = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// write leaves out a metric without samples.
func write(out *bytes.Buffer, m Metric) {
	if len(m.Samples) == 0 {
		return
	}
	fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m.Name, helpText.Replace(m.Help), m.Name, m.Type)
	for _, s := range m.Samples {
		out.WriteString(m.Name)
		for i, l := range s.Labels {
			out.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
			fmt.Fprintf(out, `%s="%s"`, l.Name, labelValue.Replace(strings.ToValidUTF8(l.Value, "\ufffd")))
		}
		if len(s.Labels) > 0 {
			out.WriteByte('}')
		}
		out.WriteString(" " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
	}
}
