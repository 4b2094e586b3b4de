package main

import (
	"context"
	"errors"
	"reflect"

	"github.com/spf13/cobra"
)

// asking is a command that asks the brokers something and shows the answer: a
// slice or a pointer, which is shown unless it is nil, also beside an error.
type asking[A any] struct {
	names func(*kafkaFlags, *cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) // completes arguments; may be nil
	check func(args []string) error                                                                // before anybody is asked; may be nil
	ask   func(ctx context.Context, adm *adminClient, args []string) (A, error)
	show  func(t *table, answer A) // for people
}

// command gives c what it does, and the flags that all such commands have.
func (a asking[A]) command(c *cobra.Command) *cobra.Command {
	var kafka kafkaFlags
	var out jsonFlag
	kafka.add(c.Flags())
	out.add(c, *new(A))
	if a.names != nil {
		c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			return a.names(&kafka, c, args, prefix)
		}
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if a.check != nil {
			if err := a.check(args); err != nil {
				return err
			}
		}
		adm, ctx, done, err := kafka.admin(c.Context())
		if err != nil {
			return err
		}
		defer done()
		answer, err := a.ask(ctx, adm, args)
		if reflect.ValueOf(answer).IsNil() {
			return err
		}
		return errors.Join(err, out.write(c.OutOrStdout(), answer, func(t *table) { a.show(t, answer) }))
	}
	return c
}

// apart shows several things, a gap between them.
func apart[D any](print func(D, *table)) func(*table, []D) {
	return func(t *table, list []D) {
		for i, d := range list {
			if i > 0 {
				t.gap()
			}
			print(d, t)
		}
	}
}
