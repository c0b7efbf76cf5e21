package main

import (
	"fmt"

	"cordon/internal/app"
	"cordon/internal/config"
	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Work with the configuration"}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration, and the rules that it names, without starting anything",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(args[0])
			if err != nil {
				return err
			}
			if err := app.CheckRules(cfg); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is good: %d tenants, %d partners, %d analysts\n", args[0], len(cfg.Tenants), len(cfg.Partners), len(cfg.Analysts))
			return nil
		},
	})
	return cmd
}
