package main

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// profileRow is a profile as it is listed, without its password.
type profileRow struct {
	profile
	Current bool `json:"current"`
}

func profileListCommand() *cobra.Command {
	var out jsonFlag
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the profiles; an asterisk marks the one in use",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := profilesFile()
			if err != nil {
				return err
			}
			all, err := readProfiles(file)
			if err != nil {
				return usageError{err}
			}
			rows := []profileRow{}
			for _, p := range all.Profiles {
				rows = append(rows, profileRow{p, p.Name == cmp.Or(os.Getenv(profileVariable), all.Current)})
			}
			return out.write(c.OutOrStdout(), rows, func(t *table) { printProfiles(t, rows) })
		},
	}
	out.add(c, []profileRow{})
	return c
}

func printProfiles(t *table, rows []profileRow) {
	t.row("", "NAME", "BROKERS", "HTTP", "TLS", "SASL", "USER")
	for _, r := range rows {
		mark, tls := "", "no"
		if r.Current {
			mark = "*"
		}
		conn := r.connection()
		switch {
		case conn.cert != "":
			tls = "mutual"
		case conn.encrypted():
			tls = "yes"
		}
		t.row(mark, r.Name, orDash(strings.Join(r.Brokers, ",")), orDash(r.HTTP), tls, orDash(conn.saslMechanism()), orDash(r.User))
	}
}
