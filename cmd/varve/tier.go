package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/health"
	"varve/internal/say"
)

func tierCommand() *cobra.Command {
	return parent("tier", "Look at what is in the bucket, and mend it", tierHolesCommand(), tierSkipCommand())
}

func tierHolesCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	c := &cobra.Command{
		Use:   "holes [TOPIC...]",
		Short: "List records that can't be read, as their object is gone or damaged",
		Long: `Ask the bucket for every object that the topics' records lie in, and list the ranges of
offsets that can't be read, with those that consumers met already. Objects that are gone or
cut are found; damage within one shows when it is read. All topics are looked at unless some
are named. The exit code is 4 when there are holes.

Bring an object back under its key, from a backup or from a noncurrent version in a
versioned bucket: its records are read again at once. Or give them up: 'varve tier skip'.`,
		Example: "  varve tier holes\n  varve tier holes orders --json",
		RunE: func(c *cobra.Command, topics []string) error {
			holes, err := lookForHoles(c, at.addr, topics)
			if err != nil {
				return err
			}
			if err := out.write(c.OutOrStdout(), holes, func(t *table) { showHoles(t, holes) }); err != nil {
				return err
			}
			if len(holes) > 0 {
				return quietError{exitUnavailable}
			}
			return nil
		},
	}
	at.add(c)
	c.Flags().Lookup("timeout").Usage = "give up when the agent says nothing for this long"
	out.add(c, []health.Hole{})
	return c
}

func showHoles(t *table, holes []health.Hole) {
	if len(holes) == 0 {
		t.row("no holes: all records can be read")
		return
	}
	t.row("TOPIC", "PARTITION", "FROM", "TO", "OBJECT", "MET", "WHY")
	for _, h := range holes {
		met := dash
		if !h.Since.IsZero() {
			met = h.Since.UTC().Format(time.DateTime)
		}
		t.row(h.Topic, h.Partition, h.From, h.To, h.Object, met, h.Why)
	}
}

// lookForHoles reads the lines of an agent's answer as they come.
func lookForHoles(c *cobra.Command, addr string, topics []string) ([]health.Hole, error) {
	path := httpBase(addr) + "/v1/tier/holes?" + url.Values{"topic": topics}.Encode()
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	patience, ok := c.Context().Value(timeoutKey{}).(time.Duration)
	if !ok {
		patience = requestTimeout
	}
	silent := time.AfterFunc(patience, func() { cancel(context.DeadlineExceeded) })
	defer silent.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, usagef("--http %q: %w", addr, err)
	}
	resp, err := do(req)
	if err != nil {
		return nil, webError(addr, errors.Join(err, context.Cause(ctx)))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if resp.StatusCode == http.StatusNotFound {
			return nil, notFoundError{strings.TrimSpace(string(said))}
		}
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			return nil, fmt.Errorf("the agent at %s: %s", addr, strings.TrimSpace(string(said)))
		}
		return nil, &awayError{addr, fmt.Errorf("it answers %s: %s", resp.Status, strings.TrimSpace(string(said)))}
	}
	holes, began := []health.Hole{}, time.Now()
	shown := isTerminal(c.ErrOrStderr())
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		silent.Reset(patience)
		var l admin.TierLook
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("the answer of %s is not an agent's: %w", addr, err)
		}
		switch {
		case l.Error != "":
			return nil, errors.New(l.Error)
		case l.Hole != nil:
			holes = append(holes, *l.Hole)
		case l.Done:
			if shown {
				fmt.Fprint(c.ErrOrStderr(), "\r\x1b[K")
			}
			return holes, nil
		case shown:
			fmt.Fprint(c.ErrOrStderr(), "\r\x1b[K"+lookLine(&l, len(holes), time.Since(began)))
		}
	}
	return nil, &awayError{addr, errors.Join(errors.New("its answer broke off"), lines.Err(), context.Cause(ctx))}
}

// lookLine reports how far a look is.
func lookLine(l *admin.TierLook, holes int, took time.Duration) string {
	text := fmt.Sprintf("%d of %d slices, %.0f/s, %s", l.Looked, l.Total, float64(l.Looked)/took.Seconds(), say.Count(holes, "hole"))
	if l.Looked > 0 {
		left := time.Duration(float64(took) * float64(max(0, l.Total-l.Looked)) / float64(l.Looked))
		text += fmt.Sprintf(", %v to go", left.Round(time.Second))
	}
	return text
}

func tierSkipCommand() *cobra.Command {
	var at httpFlag
	var out jsonFlag
	var yes bool
	var from, to int64
	c := &cobra.Command{
		Use:   "skip TOPIC PARTITION --from OFFSET --to OFFSET",
		Short: "Give up records that can't be read: consumers pass over them",
		Long: `Give up the records of a partition from an offset to before another that can't be read, as
'varve tier holes' lists them. Consumers pass over their offsets from then on, as over those
of a compacted topic. Nothing that can be read is given up, and the object, if it comes back
later, is not used any more. This can't be undone: bring the object back instead if you can.

The command asks, unless --yes is given. The agent's log says who decided.`,
		Example: "  varve tier skip orders 3 --from 1000 --to 2000",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := strconv.ParseUint(args[1], 10, 31); err != nil {
				return usagef("partition %q: must be a number", args[1])
			}
			if from < 0 || to <= from {
				return usagef("--from %d --to %d: must be offsets, the first below the second", from, to)
			}
			if !yes {
				fmt.Fprintf(c.ErrOrStderr(), "Records of %s/%s from offset %d to before %d that can't be read now will be lost for ever.\n", args[0], args[1], from, to)
				if err := confirmName(c.InOrStdin(), c.ErrOrStderr(), "topic", args[0]); err != nil {
					return err
				}
			}
			skipped, err := skipHole(c.Context(), at.addr, args[0], args[1], from, to)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), skipped, func(t *table) {
				for i := range skipped.Ranges {
					t.row("given up: " + skipped.Ranges[i].String())
				}
			})
		},
	}
	at.add(c)
	out.add(c, admin.Skipped{})
	f := c.Flags()
	f.BoolVar(&yes, "yes", false, "don't ask")
	f.Int64Var(&from, "from", -1, "first offset")
	f.Int64Var(&to, "to", -1, "the offset behind the last")
	return c
}

func skipHole(ctx context.Context, addr, topic, partition string, from, to int64) (*admin.Skipped, error) {
	path := fmt.Sprintf("/v1/topics/%s/partitions/%s/skip?from=%d&to=%d", url.PathEscape(topic), partition, from, to)
	return askAgent[admin.Skipped](ctx, http.MethodPost, addr, path)
}
