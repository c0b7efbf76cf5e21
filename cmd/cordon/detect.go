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
		Long:  "Reads Event Hubs envelopes, NDJSON, JSON arrays, answers of Graph, Log Analytics rows, unified audit records and the portals' CSV, compressed or not; - is standard input.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if assume != "" {
				t, ok := record.ParseTime(assume)
				if !ok {
					return fmt.Errorf("--assume-time %q: expected a time such as %s", assume, time.Now().UTC().Format(time.RFC3339))
				}
				o.Assume = t
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
