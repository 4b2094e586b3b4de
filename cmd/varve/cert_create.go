package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/certs"
	"varve/internal/chance"
)

// Days for which certificates are valid by default.
const (
	authorityDays   = 3650
	certificateDays = 365
)

func certCreateCACommand() *cobra.Command {
	var f certFiles
	var name string
	c := &cobra.Command{
		Use:     "create-ca",
		Short:   "Make an authority: ca.crt and ca.key",
		Example: "  varve cert create-ca --dir certs --name 'orders cluster'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			valid, err := f.valid()
			if err != nil {
				return err
			}
			if err := f.free(authorityName); err != nil {
				return err
			}
			pair, err := certs.NewAuthority((*chance.Source)(nil), name, time.Now(), valid)
			if err == nil {
				err = f.write(authorityName, pair)
			}
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "wrote %s and %s\n", f.path(authorityName, ".crt"), f.path(authorityName, ".key"))
			}
			return err
		},
	}
	f.add(c, authorityDays)
	c.Flags().StringVar(&name, "name", "Varve cluster authority", "common name of the authority")
	return c
}

func certCreateAgentCommand() *cobra.Command {
	var f certFiles
	var hosts []string
	c := &cobra.Command{
		Use:   "create-agent NAME",
		Short: "Make an agent's certificate, for clients and for the other agents",
		Long: `Make an agent's certificate, for clients and for the other agents: NAME.crt and NAME.key.
--host says by which names and addresses it is reached: what listeners and peer advertise.`,
		Example: "  varve cert create-agent agent-1 --dir certs --host agent-1.example --host 10.0.0.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(hosts) == 0 {
				return usagef("--host is required: the names and addresses by which clients and agents reach this one")
			}
			return f.issue(c, certs.Request{Name: args[0], Hosts: hosts, Kind: certs.Agent})
		},
	}
	f.add(c, certificateDays)
	c.Flags().StringSliceVar(&hosts, "host", nil, "a name or an address of the agent; may be repeated")
	return c
}

func certCreateClientCommand() *cobra.Command {
	var f certFiles
	c := &cobra.Command{
		Use:   "create-client NAME",
		Short: "Make a client's certificate",
		Long: `Make a client's certificate: NAME.crt and NAME.key. Its subject is CN=NAME. That is the client's
principal, User:CN=NAME, unless the listener's principal_mapping_rules make another one of it.`,
		Example: "  varve cert create-client alice --dir certs",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.issue(c, certs.Request{Name: args[0], Kind: certs.Client})
		},
	}
	f.add(c, certificateDays)
	return c
}
