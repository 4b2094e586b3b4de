package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/auth/sasl"
)

func userCommand() *cobra.Command {
	return parent("user", "Create, look at, change and delete users, who log in with passwords",
		userCreateCommand(), userListCommand(), userPasswdCommand(), userDeleteCommand())
}

// mechanismNumbers are Kafka's.
var mechanismNumbers = map[string]kadm.ScramMechanism{sasl.ScramSHA256: kadm.ScramSha256, sasl.ScramSHA512: kadm.ScramSha512}

// userRow is a user in a list, and what a change of one tells.
type userRow struct {
	User       string    `json:"user"`
	Mechanisms []userHas `json:"mechanisms"`
}

// userHas is a mechanism for which a user has a password.
type userHas struct {
	Mechanism  string `json:"mechanism"`
	Iterations int32  `json:"iterations"`
}

func (r userRow) mechanisms() string {
	var all []string
	for _, m := range r.Mechanisms {
		all = append(all, fmt.Sprintf("%s (%d iterations)", m.Mechanism, m.Iterations))
	}
	return strings.Join(all, ", ")
}

func userListCommand() *cobra.Command {
	return asking[[]userRow]{
		ask: func(ctx context.Context, adm *adminClient, names []string) ([]userRow, error) {
			return describeUsers(ctx, adm, names...)
		},
		show: func(t *table, rows []userRow) {
			t.row("USER", "MECHANISMS")
			for _, r := range rows {
				t.row(r.User, r.mechanisms())
			}
		},
	}.command(&cobra.Command{
		Use:     "list [NAME...]",
		Aliases: []string{"ls"},
		Short:   "List users",
		Example: "  varve user list",
		Args:    cobra.ArbitraryArgs,
	})
}

// describeUsers returns the users that are named, or all.
func describeUsers(ctx context.Context, adm *adminClient, names ...string) ([]userRow, error) {
	found, err := adm.DescribeUserSCRAMs(ctx, names...)
	if err != nil {
		return nil, sayKafka("list users", err, "")
	}
	rows := []userRow{}
	var errs []error
	for _, u := range found.Sorted() {
		if u.Err != nil {
			errs = append(errs, sayUser("user "+u.User, u.Err, u.ErrMessage))
			continue
		}
		r := userRow{User: u.User}
		for _, c := range u.CredInfos {
			r.Mechanisms = append(r.Mechanisms, userHas{c.Mechanism.String(), c.Iterations})
		}
		rows = append(rows, r)
	}
	return rows, errors.Join(errs...)
}

// sayUser says an error of a user.
func sayUser(what string, err error, message string) error {
	if errors.Is(err, kerr.ResourceNotFound) {
		return notFoundError{what + ": there is no such user; 'varve user list' shows who there is"}
	}
	return sayKafka(what, err, message)
}

// alterUser sends changes of a user one after the other: a request may change one thing of it.
func alterUser(ctx context.Context, adm *adminClient, what string, removals []kadm.DeleteSCRAM, settings []kadm.UpsertSCRAM) error {
	send := func(removals []kadm.DeleteSCRAM, settings []kadm.UpsertSCRAM) error {
		answers, err := adm.AlterUserSCRAMs(ctx, removals, settings)
		if err != nil {
			return sayKafka(what, err, "")
		}
		for _, a := range answers {
			if a.Err != nil {
				return sayUser(what, a.Err, a.ErrMessage)
			}
		}
		return nil
	}
	for _, r := range removals {
		if err := send([]kadm.DeleteSCRAM{r}, nil); err != nil {
			return err
		}
	}
	for _, s := range settings {
		if err := send(nil, []kadm.UpsertSCRAM{s}); err != nil {
			return err
		}
	}
	return nil
}

// userNames completes names of users in a shell.
func (k *kafkaFlags) userNames(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return k.complete(c, func(ctx context.Context, adm *adminClient) (names []string, err error) {
		rows, err := describeUsers(ctx, adm)
		for _, r := range rows {
			names = append(names, r.User)
		}
		return names, err
	}, prefix)
}
