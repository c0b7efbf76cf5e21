package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"cordon/internal/letter"
	"github.com/spf13/cobra"
)

func deadletterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deadletter", Short: "See what could not be stored as a record, and replay it after a fix"}
	connect := connecting(cmd)
	cmd.AddCommand(letterListCommand(connect), letterShowCommand(connect), letterReplayCommand(connect))
	return cmd
}

// selection is what --source and --since ask for.
type selection struct{ source, since string }

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.source, "source", "", "only of this `source`, as `cordon sources` names it")
	cmd.Flags().StringVar(&s.since, "since", "", "only what was given up since this `time`: 24h, or 2026-03-02T08:00:00Z")
}

func (s *selection) filter(now time.Time) (letter.Filter, error) {
	f := letter.Filter{Source: s.source}
	if s.since == "" {
		return f, nil
	}
	if back, err := time.ParseDuration(s.since); err == nil && back > 0 {
		f.Since = now.Add(-back)
		return f, nil
	}
	var err error
	if f.Since, err = time.Parse(time.RFC3339, s.since); err != nil {
		return f, fmt.Errorf("--since %q: expected a duration such as 24h, or a time such as 2026-03-02T08:00:00Z", s.since)
	}
	return f, nil
}

func letterListCommand(connect connector) *cobra.Command {
	var s selection
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List dead letters, the newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		f, err := s.filter(time.Now())
		if err != nil {
			return err
		}
		if f.Limit = limit; limit < 1 {
			return fmt.Errorf("--limit %d: expected a number from 1 on", limit)
		}
		c, err := connect()
		if err != nil {
			return err
		}
		page, err := c.Letters(cmd.Context(), f)
		if err != nil {
			return err
		}
		return printLetters(cmd.OutOrStdout(), page)
	}}
	s.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "show this `number` at most")
	return cmd
}

func printLetters(out io.Writer, page letter.Page) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POSITION\tGIVEN UP\tBYTES\tREASON")
	for _, l := range page.Letters {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", l.ID, l.Stored.UTC().Format(time.RFC3339), l.Size, escape(l.Reason, false))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := len(page.Letters); n < page.Total {
		fmt.Fprintf(out, "%d of %d; --limit shows more\n", n, page.Total)
	}
	return nil
}

func letterShowCommand(connect connector) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{Use: "show POSITION", Short: "Show one dead letter", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		l, err := c.Letter(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if raw {
			_, err := cmd.OutOrStdout().Write(l.Body)
			return err
		}
		printLetter(cmd.OutOrStdout(), l)
		return nil
	}}
	cmd.Flags().BoolVar(&raw, "raw", false, "write the bytes as they are, and nothing else, for an editor")
	return cmd
}

func printLetter(out io.Writer, l letter.Letter) {
	what := "one record"
	if l.Rest {
		what = fmt.Sprintf("the end of a message, from record %d on", l.Index)
	}
	fmt.Fprintf(out, "%s · %s\nreason    %s\nsource    %s, partition %s, message %d\nenqueued  %s\ngiven up  %s\nsize      %d bytes\n\n%s\n", l.ID, what,
		escape(l.Reason, false), escape(l.Source, false), escape(l.Partition, false), l.Sequence,
		l.Enqueued.UTC().Format(time.RFC3339), l.Stored.UTC().Format(time.RFC3339), l.Size, escape(string(l.Body), true))
}

// escape shows what a terminal would obey: control characters, what is no UTF-8, and what turns the direction of text.
func escape(s string, lines bool) string {
	var b strings.Builder
	for len(s) > 0 {
		c, n := utf8.DecodeRuneInString(s)
		switch {
		case c == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case lines && (c == '\n' || c == '\t'), unicode.IsPrint(c):
			b.WriteString(s[:n])
		case c < 0x100:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		s = s[n:]
	}
	return b.String()
}

// maxMended bounds the file of a person who has mended a letter.
const maxMended = 32 << 20

func letterReplayCommand(connect connector) *cobra.Command {
	var s selection
	var with string
	var all bool
	cmd := &cobra.Command{Use: "replay [POSITION]", Short: "Store what a dead letter holds as the records that are missing, once", Args: cobra.MaximumNArgs(1),
		Long: "Decodes dead letters again, with the code and the configuration of today, and stores their records under their own positions, once, however often it is run.\n" +
			"What still cannot be stored stays, and the answer says why. --with replays a file in place of the letter's bytes: write them with `cordon deadletter show --raw`, mend them, and replay.",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := s.filter(time.Now())
			if err != nil {
				return err
			}
			switch {
			case all && (len(args) > 0 || with != ""):
				return errors.New("--all goes with neither a position nor --with")
			case !all && len(args) == 0:
				return errors.New("name the position of a dead letter, or --all")
			case !all && (s.source != "" || s.since != ""):
				return errors.New("--source and --since go with --all")
			}
			var mended []byte
			if with != "" {
				if mended, err = readMended(with); err != nil {
					return err
				}
			}
			c, err := connect()
			if err != nil {
				return err
			}
			if !all {
				out, err := c.Replay(cmd.Context(), args[0], mended)
				if err != nil {
					return err
				}
				return printOutcomes(cmd.OutOrStdout(), []letter.Outcome{out})
			}
			outcomes, err := c.ReplayAll(cmd.Context(), f)
			if err != nil {
				return err
			}
			return printOutcomes(cmd.OutOrStdout(), outcomes)
		}}
	s.flags(cmd)
	cmd.Flags().StringVar(&with, "with", "", "replay the bytes of this `file` in place of the letter's")
	cmd.Flags().BoolVar(&all, "all", false, "replay every letter that --source and --since select")
	return cmd
}

func readMended(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the mended bytes: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxMended+1))
	if err != nil {
		return nil, fmt.Errorf("reading the mended bytes: %w", err)
	}
	if len(data) > maxMended {
		return nil, fmt.Errorf("%s is larger than 32 MiB", file)
	}
	return data, nil
}

// printOutcomes says what each replay has done, and fails where a letter stays.
func printOutcomes(out io.Writer, outcomes []letter.Outcome) error {
	stored, stay := 0, 0
	for _, o := range outcomes {
		switch {
		case o.Error != "":
			stay++
			fmt.Fprintf(out, "%s: stays: %s\n", o.ID, escape(o.Error, false))
			continue
		case o.Before:
			fmt.Fprintf(out, "%s: was replayed before\n", o.ID)
			continue
		}
		stored += o.Stored
		fmt.Fprintf(out, "%s: %d stored\n", o.ID, o.Stored)
		for _, left := range o.Left {
			fmt.Fprintf(out, "  left over: %s\n", left)
		}
	}
	if len(outcomes) != 1 {
		fmt.Fprintf(out, "%d letters, %d records stored, %d letters stay\n", len(outcomes), stored, stay)
	}
	if stay > 0 {
		return fmt.Errorf("%d of %d letters stay", stay, len(outcomes))
	}
	return nil
}
