package main

import (
	"fmt"
	"time"

	"cordon/internal/app/offline"
	"cordon/internal/record"
	"github.com/spf13/cobra"
)

func detectCommand() *cobra.Command {
	var o offline.Options
	var assume string
	cmd := &cobra.Command{
		Use:   "detect [flags] FILE…",
		Short: "Run the detectors over exported log files",
		Long:  "Reads Event Hubs envelopes, NDJSON, JSON arrays, answers of Graph, Log Analytics rows, unified audit records and the portals' CSV, compressed or not; - is standard input. Lines are counted from 0.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Assume, err = assumed(assume); err != nil {
				return err
			}
			o.Files, o.In, o.Out, o.Errs = args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return offline.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Rules, "rules", "", "`folder` of Sigma rules; what ships otherwise")
	f.StringVar(&o.Directory, "directory", "", "YAML `file` of who holds which roles")
	f.StringVar(&o.Tenant, "tenant", "", "tenant `id` of records that name none")
	f.StringVar(&assume, "assume-time", "", "event `time` of records that carry none")
	f.BoolVar(&o.JSON, "json", false, "print findings as NDJSON")
	return cmd
}

// assumed reads --assume-time.
func assumed(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := record.ParseTime(text)
	if !ok {
		return time.Time{}, fmt.Errorf("--assume-time %q: expected a time such as %s", text, time.Now().UTC().Format(time.RFC3339))
	}
	return t, nil
}
