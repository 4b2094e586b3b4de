package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

func profileUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a profile the current one",
		Example:           "  varve profile use prod",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: profileNames,
		RunE: func(c *cobra.Command, args []string) error {
			err := changeProfiles(func(all *profiles) error {
				if all.find(args[0]) == nil {
					return noProfile(args[0])
				}
				all.Current = args[0]
				return nil
			})
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%s is the current profile\n", args[0])
			}
			return err
		},
	}
}

func profileDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Aliases:           []string{"rm", "remove"},
		Short:             "Delete a profile",
		Example:           "  varve profile delete old",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: profileNames,
		RunE: func(c *cobra.Command, args []string) error {
			err := changeProfiles(func(all *profiles) error {
				if all.find(args[0]) == nil {
					return noProfile(args[0])
				}
				all.Profiles = slices.DeleteFunc(all.Profiles, func(p profile) bool { return p.Name == args[0] })
				if all.Current == args[0] {
					all.Current = ""
				}
				return nil
			})
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "profile %s was deleted\n", args[0])
			}
			return err
		},
	}
}
