package main

import (
	"time"

	"cordon/internal/app/rulebook"
	"github.com/spf13/cobra"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List, show, check and test detection rules",
	}
	cmd.AddCommand(rulesListCommand(), rulesShowCommand(), rulesCheckCommand(), rulesTestCommand())
	return cmd
}

// rulesFlag is the folder that list, show and explain read.
func rulesFlag(cmd *cobra.Command, folder *string) {
	cmd.Flags().StringVar(folder, "rules", "", "`folder` of Sigma rules; what ships otherwise")
}

func rulesListCommand() *cobra.Command {
	var folder string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "One line for each rule: level, kind, technique, the records it looks at, its state",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			book, err := rulebook.Open(folder)
			if err != nil {
				return err
			}
			return book.List(cmd.OutOrStdout(), asJSON)
		},
	}
	rulesFlag(cmd, &folder)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print rules as NDJSON")
	return cmd
}

func rulesShowCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "show RULE",
		Short: "All about one rule: what its fields mean in a record, and what is wrong with it",
		Long:  "RULE is a rule's name, its id, or the file that holds it alone.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := rulebook.Open(folder)
			if err != nil {
				return err
			}
			return book.Show(cmd.OutOrStdout(), args[0], time.Now())
		},
	}
	rulesFlag(cmd, &folder)
	return cmd
}

// folderArgument is the one argument of check and test; what ships where there is none.
func folderArgument(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func rulesCheckCommand() *cobra.Command {
	var asJSON, strict bool
	cmd := &cobra.Command{
		Use:   "check [FOLDER]",
		Short: "Say which rules can never match, and why; which are inactive, doubtful or too wide",
		Long: "Judges rules before any record comes, by a vocabulary of what records hold. A file vocabulary.yml in the folder adds values to it, fields.yml fields, lists.yml lists.\n" +
			"The exit status is 1 where a rule cannot match, or asks for a field or value that nobody knows.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := rulebook.Open(folderArgument(args))
			if err != nil {
				return err
			}
			return book.Check(cmd.OutOrStdout(), asJSON, strict)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a report for each rule as NDJSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "rules that are inactive or wide are wrong too")
	return cmd
}

func rulesTestCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [FOLDER]",
		Short: "Run the *.test.yml beside the rules",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := rulebook.Open(folderArgument(args))
			if err != nil {
				return err
			}
			return book.Test(cmd.OutOrStdout(), verbose)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print what passed too")
	return cmd
}
