package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/incident"
	"github.com/spf13/cobra"
)

func incidentsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "incidents", Short: "See the incidents of the running Cordon, and decide"}
	connect := connecting(cmd)
	cmd.AddCommand(listCommand(connect), showCommand(connect))
	for _, v := range []struct{ use, verb, short string }{
		{"approve", "approve", "Approve a step that waits"},
		{"deny", "refuse", "Refuse a step that waits"},
		{"undo", "undo", "Take a step back to the state before it"},
		{"ask", "ask", "Ask for a step that the playbook offers"},
		{"done", "done", "Say that a task is done"},
	} {
		cmd.AddCommand(decideCommand(connect, v.use, v.verb, v.short))
	}
	cmd.AddCommand(closeCommand(connect), searchCommand(connect))
	return cmd
}

func listCommand(connect connector) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List incidents", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		list, err := c.List(cmd.Context())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 2, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NUMBER\tWHO\tTENANT\tVERDICT\tWAITS\tSEEN LAST")
		for _, s := range list {
			verdict := s.Verdict
			if s.Closed {
				verdict = "closed"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\n", s.Number, s.Principal, s.Tenant, verdict, s.Waiting, s.Says)
		}
		return w.Flush()
	}}
}

func showCommand(connect connector) *cobra.Command {
	return &cobra.Command{Use: "show NUMBER", Short: "Show one incident", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, n, err := find(connect, args[0])
		if err != nil {
			return err
		}
		i, err := c.Show(cmd.Context(), n)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "incident %d · %s · %s (%s)\n\n", i.Number, i.Principal.Label(), i.Verdict, i.Why)
		w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
		for _, f := range i.Findings {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Time.Format("15:04:05"), f.Says, f.Rule, f.Level)
		}
		fmt.Fprintln(w)
		for _, s := range i.Steps {
			if s.Kind != incident.KindRead {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.State, s.Place, s.Says, s.Need, strings.TrimSpace(s.Note+" "+s.Error))
			}
		}
		return w.Flush()
	}}
}

func find(connect connector, number string) (*client.Client, uint64, error) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%q is no incident's number", number)
	}
	c, err := connect()
	return c, n, err
}

func decideCommand(connect connector, use, verb, short string) *cobra.Command {
	var why string
	var sure bool
	cmd := &cobra.Command{Use: use + " NUMBER STEP", Short: short, Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		c, n, err := find(connect, args[0])
		if err != nil {
			return err
		}
		i, err := c.Show(cmd.Context(), n)
		if err != nil {
			return err
		}
		s := i.Step(args[1])
		if s == nil {
			return fmt.Errorf("incident %d has no step %s", n, args[1])
		}
		d := console.Decision{Verb: verb, Place: s.Place, Why: why}
		if verb == "approve" || verb == "refuse" {
			d.Digest = s.Digest
		}
		asked := bufio.NewReader(cmd.InOrStdin())
		err = c.Decide(cmd.Context(), n, d, func() bool {
			if sure {
				return true
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: this gives access back. Type yes to confirm: ", s.Says)
			line, _ := asked.ReadString('\n') // no answer is no
			return strings.TrimSpace(line) == "yes"
		})
		var refused *client.Refused
		if errors.As(err, &refused) {
			return fmt.Errorf("%s %s: %w", use, args[1], err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: recorded\n", s.Says)
		return nil
	}}
	cmd.Flags().StringVar(&why, "why", "", "reason, for the record")
	cmd.Flags().BoolVar(&sure, "confirm", false, "confirm at once what gives access back")
	return cmd
}

func closeCommand(connect connector) *cobra.Command {
	var why string
	cmd := &cobra.Command{Use: "close NUMBER", Short: "Close an incident in which nothing waits", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, n, err := find(connect, args[0])
		if err != nil {
			return err
		}
		if err := c.Decide(cmd.Context(), n, console.Decision{Verb: "close", Why: why}, nil); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "incident %d is closed\n", n)
		return nil
	}}
	cmd.Flags().StringVar(&why, "why", "", "reason, for the record")
	return cmd
}

func searchCommand(connect connector) *cobra.Command {
	var days int
	cmd := &cobra.Command{Use: "search NUMBER", Short: "Search the tenant's unified audit log for what the principal did", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, n, err := find(connect, args[0])
		if err != nil {
			return err
		}
		if err := c.Search(cmd.Context(), n, days); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "asked for: what is found comes as records, in some minutes")
		return nil
	}}
	cmd.Flags().IntVar(&days, "days", 7, "how many `days` back")
	return cmd
}
