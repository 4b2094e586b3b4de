package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// assigned are the partitions that a group gave this member.
type assigned struct {
	mu   sync.Mutex
	ever bool
	has  map[string]map[int32]bool
}

func (a *assigned) add(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
	a.change(parts, true)
}

func (a *assigned) remove(ctx context.Context, cl *kgo.Client, parts map[string][]int32) {
	_ = cl.CommitMarkedOffsets(ctx) // at worst the next owner prints some records again
	a.change(parts, false)
}

func (a *assigned) change(parts map[string][]int32, own bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.has == nil {
		a.has = map[string]map[int32]bool{}
	}
	for t, ps := range parts {
		if a.has[t] == nil {
			a.has[t] = map[int32]bool{}
		}
		for _, p := range ps {
			a.has[t][p] = own
		}
	}
	a.ever = a.ever || own
}

// mine reports whether a partition is this member's; nothing is known before the
// first assignment.
func (a *assigned) mine(topic string, p int32) (mine, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.has[topic][p], a.ever
}

func (r *consuming) run(ctx context.Context, from position) error {
	if !r.flags.follow && r.flags.group == "" && r.finished() {
		return nil
	}
	cl, err := r.flags.kafka.client(ctx, r.options(from)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	err = r.loop(ctx, cl)
	if r.flags.group == "" {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.flags.kafka.timeout)
	defer cancel()
	err = errors.Join(err, sayKafka("commit offsets of group "+r.flags.group, cl.CommitMarkedOffsets(last), ""))
	_ = cl.LeaveGroupContext(last) // at worst the group waits for the session's end
	return err
}

// loop prints until it is enough, at the end, or interrupted.
func (r *consuming) loop(ctx context.Context, cl *kgo.Client) error {
	quiet := time.Now() // since when nothing came
	for {
		wait, cancel := context.WithTimeout(ctx, time.Second)
		fs := cl.PollFetches(wait)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		enough, err := r.print(cl, fs)
		if flushed := r.out.Flush(); err == nil {
			err = flushed
		}
		if err != nil || enough || !r.flags.follow && r.finished() {
			return err
		}
		if err := r.troubles(fs); err != nil {
			return err
		}
		if fs.NumRecords() > 0 || r.flags.follow {
			quiet = time.Now()
		}
		if time.Since(quiet) > r.flags.kafka.timeout {
			return latef("no data for %v before the end of the topic; are its agents and the bucket reachable? 'varve cluster health' says; --timeout waits longer", r.flags.kafka.timeout)
		}
	}
}

func (r *consuming) print(cl *kgo.Client, fs kgo.Fetches) (enough bool, err error) {
	for it := fs.RecordIter(); !it.Done(); {
		rec := it.Next()
		at, known := r.plan.begin.Lookup(rec.Topic, rec.Partition)
		end, bounded := r.plan.end.Lookup(rec.Topic, rec.Partition)
		if known && rec.Offset >= at.At {
			r.plan.begin.AddOffset(rec.Topic, rec.Partition, rec.Offset+1, -1)
		}
		if rec.Attrs.IsControl() || !r.flags.follow && bounded && rec.Offset >= end.At {
			continue
		}
		if err := r.write(rec); err != nil {
			return false, err
		}
		if r.flags.group != "" {
			cl.MarkCommitRecords(rec)
		}
		r.meter.Bytes.Add(int64(len(rec.Key) + len(rec.Value)))
		if n := r.meter.Records.Add(1); n == r.flags.count {
			return true, nil
		}
	}
	return false, nil
}

// troubles returns the first error that waiting doesn't mend.
func (r *consuming) troubles(fs kgo.Fetches) (bad error) {
	fs.EachError(func(topic string, p int32, err error) {
		if bad != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || kerr.IsRetriable(err) && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return
		}
		what := "consume"
		if topic != "" {
			what = fmt.Sprintf("consume partition %d of %s", p, topic)
		}
		bad = sayKafka(what, err, "")
	})
	return bad
}

// finished reports whether all that is ours was read up to its end.
func (r *consuming) finished() bool {
	all := true
	r.plan.end.Each(func(end kadm.Offset) {
		if r.flags.group != "" {
			mine, known := r.owns.mine(end.Topic, end.Partition)
			if !known {
				all = false
				return
			}
			if !mine {
				return
			}
		}
		at, _ := r.plan.begin.Lookup(end.Topic, end.Partition)
		all = all && at.At >= end.At
	})
	return all
}
