package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/backoff"
)

// clearScreen moves the cursor of a terminal to the top and clears what is below it.
const clearScreen = "\x1b[H\x1b[2J"

// again shows something every interval until the command is interrupted. On a terminal it replaces what was
// shown before. An error is printed and it goes on; a usage error ends it.
func again(c *cobra.Command, interval time.Duration, show func() error) error {
	screen := isTerminal(c.OutOrStdout())
	for {
		if screen {
			fmt.Fprint(c.OutOrStdout(), clearScreen)
		}
		fmt.Fprintln(c.ErrOrStderr(), time.Now().Format(time.TimeOnly))
		err := show()
		switch {
		case c.Context().Err() != nil:
			return nil
		case errors.As(err, new(usageError)):
			return err
		case err != nil && !errors.As(err, new(quietError)):
			fmt.Fprintln(c.ErrOrStderr(), "varve:", err)
		}
		if backoff.Sleep(c.Context(), interval) != nil {
			return nil
		}
	}
}

// pace is how quickly something becomes less.
type pace struct {
	began time.Time
	most  int // at began
}

// note returns the rate so far and the time to go, as the end of a line; "" while it isn't known. When
// there is more than before, it begins anew.
func (p *pace) note(left int, now time.Time) string {
	if p.began.IsZero() || left > p.most {
		p.began, p.most = now, left
		return ""
	}
	done, took := p.most-left, now.Sub(p.began)
	if done == 0 || left == 0 || took <= 0 {
		return ""
	}
	toGo := time.Duration(float64(took) / float64(done) * float64(left))
	return fmt.Sprintf(", %.1f a second, about %v to go", float64(done)/took.Seconds(), max(toGo.Round(time.Second), time.Second))
}
