package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func profileUseCommand() *cobra.Command {
	return changingProfile(&cobra.Command{
		Use:     "use NAME",
		Short:   "Make a profile the current one",
		Example: "  varve profile use prod",
	}, "%s is the current profile\n", func(all *profiles, name string) { all.Current = name })
}

// changingProfile gives c a change of the profile that its argument names, and what it prints then.
func changingProfile(c *cobra.Command, done string, change func(all *profiles, name string)) *cobra.Command {
	c.Args, c.ValidArgsFunction = cobra.ExactArgs(1), profileNames
	c.RunE = func(c *cobra.Command, args []string) error {
		err := changeProfiles(func(all *profiles) error {
			if all.find(args[0]) == nil {
				return noProfile(args[0])
			}
			change(all, args[0])
			return nil
		})
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), done, args[0])
		}
		return err
	}
	return c
}
