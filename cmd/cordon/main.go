// Command cordon watches Microsoft Entra tenants for compromise and drives the response. Each command is a file
// here; what they do lives in the packages they call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := &cobra.Command{
		Use:           "cordon",
		Short:         "See, confirm, contain and secure compromises of Microsoft Entra tenants",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(tryCommand(), serveCommand(), simulateCommand(), detectCommand(), rulesCommand(), explainCommand(), incidentsCommand(), replayCommand(), deadletterCommand(), sourcesCommand(), configCommand())
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	if err := root.ExecuteContext(ctx); err != nil {
		status, silent := statusOf(err)
		if !silent && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(errs, "cordon:", err)
		}
		return status
	}
	return 0
}

// logger writes to standard error: warnings alone, or everything.
func logger(verbose bool, to io.Writer) *zap.Logger {
	level := zapcore.WarnLevel
	if verbose {
		level = zapcore.DebugLevel
	}
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(to), level))
}
