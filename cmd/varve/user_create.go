package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/auth/sasl"
)

func userCreateCommand() *cobra.Command {
	var p newPassword
	c := asking[[]userRow]{
		check: p.check,
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]userRow, error) {
			what := "create user " + names[0]
			there, err := adm.DescribeUserSCRAMs(ctx, names[0])
			if err != nil {
				return nil, sayKafka(what, err, "")
			}
			switch u := there[names[0]]; {
			case u.Err == nil:
				return nil, &kafkaError{what, "it exists already; 'varve user passwd' changes its password", kerr.DuplicateResource}
			case !errors.Is(u.Err, kerr.ResourceNotFound):
				return nil, sayUser(what, u.Err, u.ErrMessage)
			}
			mechanisms := p.mechanisms
			if len(mechanisms) == 0 {
				mechanisms = []string{sasl.ScramSHA256, sasl.ScramSHA512}
			}
			if err := alterUser(ctx, adm, what, nil, p.settings(names[0], mechanisms)); err != nil {
				return nil, err
			}
			return describeUsers(ctx, adm, names[0])
		},
		show: func(t *table, rows []userRow) {
			for _, r := range rows {
				t.row("user " + r.User + " created: " + r.mechanisms())
			}
		},
	}.command(&cobra.Command{
		Use:     "create NAME",
		Aliases: []string{"add", "new"},
		Short:   "Create a user with a password",
		Long: `Create a user with a password. The broker is sent the password hashed, and keeps that.
A client may use any of SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN that its listener offers.`,
		Example: "  varve user create alice\n  varve user create alice --new-password-file alice.password\n  pwgen 24 1 | varve user create alice",
		Args:    cobra.ExactArgs(1),
	})
	p.add(c, "both")
	return c
}
