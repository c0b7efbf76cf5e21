package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/internal/app"
	"cordon/internal/config"
	"cordon/internal/heap"
	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	var file string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Watch the tenants of a configuration",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), cfg, app.Options{Log: logger(verbose, cmd.ErrOrStderr())})
			if err != nil {
				return err
			}
			stopping := func() error {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				return a.Stop(ctx)
			}
			var small sync.WaitGroup
			defer small.Wait()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			small.Go(func() { heap.Keep(ctx, cfg.MemoryBytes()) })
			if err := a.Start(cmd.Context()); err != nil {
				return errors.Join(err, stopping())
			}
			remove, err := a.WriteRunFile(cfg.Data)
			defer remove()
			if err != nil {
				return errors.Join(err, stopping())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Cordon watches %d tenants. Console: %s\n", len(cfg.Tenants), a.URL())
			return errors.Join(a.Wait(cmd.Context()), stopping())
		},
	}
	cmd.Flags().StringVar(&file, "config", "cordon.yaml", "configuration `file`")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log everything to standard error")
	return cmd
}
