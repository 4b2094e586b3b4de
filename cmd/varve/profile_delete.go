package main

import (
	"slices"

	"github.com/spf13/cobra"
)

func profileDeleteCommand() *cobra.Command {
	return changingProfile(&cobra.Command{
		Use:     "delete NAME",
		Aliases: []string{"rm", "remove"},
		Short:   "Delete a profile",
		Example: "  varve profile delete old",
	}, "profile %s was deleted\n", func(all *profiles, name string) {
		all.Profiles = slices.DeleteFunc(all.Profiles, func(p profile) bool { return p.Name == name })
		if all.Current == name {
			all.Current = ""
		}
	})
}
