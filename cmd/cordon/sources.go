package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"cordon/internal/sources"
	"github.com/spf13/cobra"
)

func sourcesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "sources", Short: "See how far each source has been read, and how full LOGS is", Args: cobra.NoArgs}
	connect := connecting(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		report, err := c.Sources(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(report)
		}
		return printSources(cmd.OutOrStdout(), report)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printSources prints a line a source, and below it one for each category with its watermark.
func printSources(out io.Writer, r sources.Report) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tSEEN UP TO\tLAG\tRECORDS/S\tRECORDS\tDEAD\tCAUGHT UP\tWRITTEN")
	for _, s := range r.Sources {
		lag := "-"
		if !s.Seen.IsZero() {
			lag = time.Duration(s.Lag * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%d\t%d\t%d of %d\t%s\n", escape(s.Name, false), stamp(s.Seen), lag, s.Rate, s.Records, s.Dead, s.CaughtUp, len(s.Partitions), stamp(s.Written))
		for _, c := range s.Categories {
			name := escape(c.Name, false)
			if name == "" {
				name = "(others)"
			}
			fmt.Fprintf(w, "  %s\t%s\t\t%.1f\t%d\t\t\t\n", name, stamp(c.Watermark), c.Rate, c.Records)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "LOGS holds %d bytes", r.Logs.Bytes)
	if r.Logs.MaxBytes > 0 {
		fmt.Fprintf(out, " of %d (%.0f %%)", r.Logs.MaxBytes, 100*r.Logs.Ratio)
	}
	if r.Logs.Alarm {
		fmt.Fprint(out, ": it is filling up; when it is full, ingest waits. Raise logs-max")
	}
	fmt.Fprintln(out)
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
