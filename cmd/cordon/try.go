package main

import (
	"cordon/internal/simulator/stage"
	"github.com/spf13/cobra"
)

func tryCommand() *cobra.Command {
	var o stage.Options
	var verbose bool
	cmd := &cobra.Command{
		Use:   "try",
		Short: "Play an attack on simulated tenants and watch Cordon contain it",
		Long:  "Starts Cordon and simulated tenants in this process, on loopback, and plays an attack on a CSP's customer. Nothing leaves this machine.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Log = cmd.OutOrStdout(), logger(verbose, cmd.ErrOrStderr())
			return stage.Try(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Unattended, "unattended", false, "let two simulated people approve everything, and end")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object instead of the story")
	f.StringVar(&o.Input, "input", "", "play the records of an exported log `file` instead of the scenario")
	f.StringVar(&o.Data, "data", "", "data `folder` to use and keep; a temporary one otherwise")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of the console")
	f.BoolVar(&verbose, "verbose", false, "log to standard error")
	return cmd
}
