package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cordon/internal/clock"
	"cordon/internal/simulator"
)

// SimulateOptions are the flags of `cordon simulate`.
type SimulateOptions struct {
	Folder string
	Attack bool
	In     io.Reader
	Out    io.Writer
	Errs   io.Writer
}

// Ago is how far back the attack of `cordon simulate` lies, so that its last record is due now: it runs on wall time.
const Ago = 20 * time.Minute

// Simulate is `cordon simulate`.
func Simulate(ctx context.Context, o SimulateOptions) (err error) {
	if o.Folder == "" {
		if o.Folder, err = os.MkdirTemp("", "cordon-simulate-"); err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
		defer os.RemoveAll(o.Folder)
	}
	sim, err := simulator.Start(clock.Wall{}, simulator.Attack)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	text, err := sim.Config(filepath.Join(o.Folder, "secrets"), filepath.Join(o.Folder, "data"))
	if err != nil {
		return err
	}
	fmt.Fprint(o.Out, text)
	play := func() error {
		fmt.Fprintln(o.Errs, "the attack of the last 20 minutes is being delivered")
		return sim.World.PlayAll(time.Now().UTC().Add(-Ago))
	}
	if o.Attack {
		if err := play(); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(o.Errs, "save this as cordon.yaml, run `cordon serve --config cordon.yaml`, and press Enter here for the attack")
		enter := make(chan struct{})
		go func() { // ends with the process: a read of the terminal cannot be called off
			if _, err := bufio.NewReader(o.In).ReadString('\n'); err == nil {
				close(enter)
			}
		}()
		var waiting sync.WaitGroup
		defer waiting.Wait()
		waiting.Go(func() {
			select {
			case <-enter:
				if err := play(); err != nil {
					fmt.Fprintln(o.Errs, err)
				}
			case <-ctx.Done():
			}
		})
	}
	sim.Serve(ctx)
	return nil
}
