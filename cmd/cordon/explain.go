package main

import (
	"cordon/internal/app/rulebook"
	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	var o rulebook.Explain
	var folder, assume string
	cmd := &cobra.Command{
		Use:   "explain --rule RULE FILE…",
		Short: "Say why a rule fires on the records of a file or does not: each clause, with the values",
		Long:  "RULE is a rule's name, its id, or the file that holds it alone. FILE is what `cordon detect` reads; - is standard input. Who is privileged is read from --directory, and learned from the files' audit records. Lines are counted from 0.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := rulebook.Open(folder)
			if err != nil {
				return err
			}
			if o.Defaults.Assume, err = assumed(assume); err != nil {
				return err
			}
			o.Files, o.In, o.Out, o.Errs = args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return book.Explain(cmd.Context(), o)
		},
	}
	rulesFlag(cmd, &folder)
	f := cmd.Flags()
	f.StringVar(&o.Rule, "rule", "", "`name` of the rule")
	f.StringVar(&o.Defaults.Tenant, "tenant", "", "tenant `id` of records that name none")
	f.StringVar(&assume, "assume-time", "", "event `time` of records that carry none")
	f.StringVar(&o.Directory, "directory", "", "YAML `file` of who holds which roles")
	f.BoolVar(&o.JSON, "json", false, "print what is explained as NDJSON")
	_ = cmd.MarkFlagRequired("rule")
	return cmd
}
