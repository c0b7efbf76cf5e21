package main

import (
	"cordon/internal/simulator/stage"
	"github.com/spf13/cobra"
)

func simulateCommand() *cobra.Command {
	var o stage.SimulateOptions
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve the simulated tenants alone, and print the configuration for them",
		Long:  "Serves the simulated tenants on loopback until it is interrupted. Give the printed configuration to `cordon serve`, then play the attack with --attack or by pressing Enter.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.In, o.Out, o.Errs = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return stage.Simulate(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Folder, "folder", "", "`folder` for the simulation's secrets and Cordon's data; a temporary one otherwise")
	cmd.Flags().BoolVar(&o.Attack, "attack", false, "play the attack at once")
	return cmd
}
