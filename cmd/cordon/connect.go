package main

import (
	"fmt"
	"os"

	"cordon/internal/app"
	"cordon/internal/console/client"
	"github.com/spf13/cobra"
)

// connector reaches the running Cordon.
type connector func() (*client.Client, error)

// connecting gives a command the flags that say which Cordon is meant and who asks, and returns the way to it.
func connecting(cmd *cobra.Command) connector {
	var data, as string
	cmd.PersistentFlags().StringVar(&data, "data", "data", "data `folder` of the running Cordon")
	cmd.PersistentFlags().StringVar(&as, "as", "", "`analyst` to act as; the first one otherwise")
	return func() (*client.Client, error) {
		cache, err := app.CacheFolder()
		if err != nil {
			return nil, err
		}
		run, err := app.ReadRunFile(data, cache)
		if err != nil {
			return nil, err
		}
		if token := os.Getenv("CORDON_TOKEN"); token != "" {
			return client.New(run.Address, token), nil
		}
		token, ok := run.Tokens[as]
		if as == "" {
			for name := range run.Tokens {
				if !ok || name < as {
					as, token, ok = name, run.Tokens[name], true
				}
			}
		}
		if !ok {
			return nil, fmt.Errorf("there is no analyst %q here; set CORDON_TOKEN, or name one with --as", as)
		}
		return client.New(run.Address, token), nil
	}
}
