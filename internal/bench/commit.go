package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Commits measures offset commits: each of Connections clients commits all
// partitions of the topic for one of its Groups after another, one commit at a
// time. The groups are deleted afterwards.
func Commits(ctx context.Context, c Config) (*Result, error) {
	committers, err := clients(&c, func(int) (*kgo.Client, error) { return kgo.NewClient(c.options()...) })
	if err != nil {
		return nil, err
	}
	defer closeAll(committers)
	details, err := kadm.NewClient(committers[0]).ListTopics(ctx, c.Topic)
	if err == nil {
		err = details[c.Topic].Err
	}
	if err != nil {
		return nil, fmt.Errorf("look up the partitions of topic %q: %w", c.Topic, err)
	}
	partitions := details[c.Topic].Partitions.Numbers()
	run := fmt.Sprintf("varve-bench-%x", time.Now().UnixNano())
	name := func(client int, n int64) string { return fmt.Sprintf("%s-%d-%d", run, client, n%int64(c.Groups)) }
	var latency histogram
	var failed failures
	var commits atomic.Int64
	r := &Result{Mode: "commit", Partitions: len(partitions)}
	err = meteredRun(&c, r, func() (int64, int64, error) {
		until, cancel := context.WithTimeout(ctx, c.Duration)
		defer cancel()
		var wg sync.WaitGroup
		for i, cl := range committers {
			wg.Go(func() {
				adm := kadm.NewClient(cl)
				for n := int64(0); until.Err() == nil; n++ {
					began := time.Now()
					if err := commitAll(ctx, adm, name(i, n), c.Topic, partitions, n); err != nil {
						failed.add(err)
						continue
					}
					latency.add(time.Since(began))
					commits.Add(1)
					c.Meter.add(0, 1)
				}
			})
		}
		wg.Wait()
		return 0, commits.Load(), nil
	})
	if err != nil {
		return nil, err
	}
	r.Commits, r.Latency = r.Msgs, latency.latency()
	failed.fill(r)
	var groups []string
	for i := range committers {
		for n := range int64(c.Groups) {
			groups = append(groups, name(i, n))
		}
	}
	_, _ = kadm.NewClient(committers[0]).DeleteGroups(context.WithoutCancel(ctx), groups...) // some may not exist
	return r, nil
}

// commitAll commits one offset for all partitions of a topic.
func commitAll(ctx context.Context, adm *kadm.Client, group, topic string, partitions []int32, offset int64) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	var offsets kadm.Offsets
	for _, p := range partitions {
		offsets.AddOffset(topic, p, offset, -1)
	}
	answers, err := adm.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = answers.Error()
	}
	return err
}
