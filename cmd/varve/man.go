package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes manual pages, for packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write manual pages of all commands",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o750); err != nil {
				return err
			}
			pages := root()
			pages.DisableAutoGenTag = true
			epoch := time.Unix(0, 0).UTC() // the same at every build
			return doc.GenManTree(pages, &doc.GenManHeader{Section: "1", Source: "Varve " + release, Manual: "Varve", Date: &epoch}, args[0])
		},
	}
}
