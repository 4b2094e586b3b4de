package e2e

import (
	"context"
	"fmt"
	"hash/crc64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// follower is a consumer group that reads a ledger's topic while it is written, and
// commits what it read. It checks the group's side of the promises: what was read
// once reads the same again, nothing is left out, and a group never begins before an
// offset whose commit was confirmed.
type follower struct {
	t     *testing.T
	l     *ledger
	group string
	stop  context.CancelFunc
	all   sync.WaitGroup

	mu        sync.Mutex
	seen      map[int32]map[int64]uint64 // partition -> offset -> hash of the value
	next      map[int32]int64            // after the last offset that was seen
	committed map[int32]int64            // as was confirmed
	commits   int
	again     int // records that came more than once
}

// follow starts a group of two members on a ledger's topic.
func (l *ledger) follow(group string) *follower {
	l.t.Helper()
	f := &follower{t: l.t, l: l, group: group, seen: map[int32]map[int64]uint64{}, next: map[int32]int64{}, committed: map[int32]int64{}}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for range 2 {
		cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(l.addr, ",")...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(l.topic), kgo.DisableAutoCommit(),
			kgo.BlockRebalanceOnPoll(), // a member that lost a partition has nothing of it in hand any more
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond),
			kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
		if err != nil {
			l.t.Fatal(err)
		}
		f.all.Go(func() { f.member(ctx, cl) })
	}
	l.t.Cleanup(func() { stop(); f.all.Wait() })
	return f
}

func (f *follower) member(ctx context.Context, cl *kgo.Client) {
	defer cl.CloseAllowingRebalance()
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fs := cl.PollFetches(poll)
		cancel()
		f.note(fs)
		commit, cancel := context.WithTimeout(ctx, 3*time.Second)
		if err := cl.CommitUncommittedOffsets(commit); err == nil && fs.NumRecords() > 0 {
			f.confirm(cl.CommittedOffsets()[f.l.topic])
		}
		cancel()
		cl.AllowRebalance()
	}
}

func (f *follower) note(fs kgo.Fetches) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fs.EachRecord(func(r *kgo.Record) {
		p, hash := r.Partition, crc64.Checksum(r.Value, table)
		if f.seen[p] == nil {
			f.seen[p] = map[int64]uint64{}
		}
		switch before, there := f.seen[p][r.Offset]; {
		case there && before != hash:
			f.t.Errorf("the group read offset %d of partition %d before, and now it is another record", r.Offset, p)
		case there:
			f.again++
		case r.Offset != f.next[p]:
			f.t.Errorf("the group read offset %d of partition %d where %d should be", r.Offset, p, f.next[p])
		}
		if r.Offset < f.committed[p] {
			f.t.Errorf("the group read offset %d of partition %d again, though %d was committed", r.Offset, p, f.committed[p])
		}
		f.seen[p][r.Offset] = hash
		f.next[p] = max(f.next[p], r.Offset+1)
	})
}

func (f *follower) confirm(offsets map[int32]kgo.EpochOffset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commits++
	for p, o := range offsets {
		f.committed[p] = max(f.committed[p], o.Offset)
	}
}

// check waits until the group has read and committed everything, and holds what it
// read against the ledger. The ledger must have ended.
func (f *follower) check() {
	f.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(f.l.addr, ",")...))
	if err != nil {
		f.t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	poll(f.t, 90*time.Second, "the group to commit everything", func() error { return f.behind(adm) })
	f.stop()
	f.all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	lost, wrong := 0, 0
	for p, offsets := range f.l.acked {
		for o, hash := range offsets {
			if got, ok := f.seen[p][o]; !ok {
				lost++
			} else if got != hash {
				wrong++
			}
		}
	}
	if lost > 0 || wrong > 0 {
		f.t.Errorf("the group missed %d acknowledged records and read %d others instead", lost, wrong)
	}
	f.t.Logf("the group made %d commits and read %d records more than once", f.commits, f.again)
}

// behind is an error while the group has not committed the ends, as the coordinator
// tells; an offset before one that was confirmed to a member is a failure.
func (f *follower) behind(adm *kadm.Client) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	ends, err := adm.ListEndOffsets(ctx, f.l.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	confirmed := map[int32]int64{}
	for p, o := range f.committed {
		confirmed[p] = o
	}
	f.mu.Unlock()
	offsets, err := adm.FetchOffsets(ctx, f.group)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return err
	}
	for p, end := range ends[f.l.topic] {
		at, ok := offsets.Lookup(f.l.topic, p)
		if ok && at.At < confirmed[p] {
			f.t.Fatalf("the commit of partition %d went back from %d to %d", p, confirmed[p], at.At)
		}
		if end.Offset > 0 && (!ok || at.At < end.Offset) {
			return fmt.Errorf("partition %d: %d of %d", p, at.At, end.Offset)
		}
	}
	return nil
}
