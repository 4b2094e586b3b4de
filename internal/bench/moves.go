package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// electAgain is how often a broker that makes no move by itself is asked to elect the
// preferred leaders.
const electAgain = 500 * time.Millisecond

// Moves lets every partition of the topic be led by the next of its replicas, by a
// reassignment and an election of preferred leaders, and measures how long it takes
// until the brokers tell so of all. The replicas stay the same, only their order
// changes. It is an error if that takes longer than Duration.
func Moves(ctx context.Context, c Config) (*Result, error) {
	adm, err := kadm.NewOptClient(c.options(kgo.MetadataMinAge(lookAgain))...)
	if err != nil {
		return nil, err
	}
	defer adm.Close()
	found, err := adm.ListTopics(ctx, c.Topic)
	if err == nil {
		err = found[c.Topic].Err
	}
	if err != nil {
		return nil, fmt.Errorf("look up topic %q: %w", c.Topic, err)
	}
	request, wanted, err := rotated(c.Topic, found[c.Topic].Partitions)
	if err != nil {
		return nil, err
	}
	r := &Result{Mode: "moves", Partitions: len(wanted)}
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	err = meteredRun(&c, r, func() (int64, int64, error) { return 0, 0, move(ctx, adm, c.Topic, request, wanted) })
	if err != nil {
		return nil, err
	}
	return r, nil
}

// rotated returns every partition's replicas in an order that begins with the one after
// its leader, and so the wanted leader.
func rotated(topic string, partitions kadm.PartitionDetails) (r kadm.AlterPartitionAssignmentsReq, wanted map[int32]int32, err error) {
	wanted = map[int32]int32{}
	for p, d := range partitions {
		if len(d.Replicas) < 2 {
			return nil, nil, fmt.Errorf("partition %d has %d replicas: there is nowhere to move it", p, len(d.Replicas))
		}
		replicas := slices.Sorted(slices.Values(d.Replicas))
		at := (slices.Index(replicas, d.Leader) + 1) % len(replicas)
		replicas = append(replicas[at:len(replicas):len(replicas)], replicas[:at]...)
		r.Assign(topic, p, replicas)
		wanted[p] = replicas[0]
	}
	return r, wanted, nil
}

func move(ctx context.Context, adm *kadm.Client, topic string, request kadm.AlterPartitionAssignmentsReq, wanted map[int32]int32) error {
	answer, err := adm.AlterPartitionAssignments(ctx, request)
	if err == nil {
		err = answer.Error()
	}
	if err != nil {
		return fmt.Errorf("ask for %d moves: %w", len(wanted), err)
	}
	all := kadm.TopicsSet{topic: map[int32]struct{}{}}
	for p := range wanted {
		all.Add(topic, p)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	elect := time.Now().Add(electAgain)
	for {
		found, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return fmt.Errorf("look up topic: %w", err)
		}
		left := 0
		for p, d := range found[topic].Partitions {
			if d.Leader != wanted[p] {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(elect) { // what fails is asked again
			_, _ = adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, all)
			elect = time.Now().Add(electAgain)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d partitions have not moved: %w", left, len(wanted), ctx.Err())
		}
	}
}
