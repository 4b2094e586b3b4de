package sim

import (
	"context"
	"fmt"
	"sync"

	"varve/internal/backoff"
)

// workload is the clients of a run: producers, consumers from the start and at the
// tail, and a group that commits.
type workload struct {
	w             *world
	clients       []*client
	stopProducing context.CancelFunc
	stop          context.CancelFunc
	producing     sync.WaitGroup
	consuming     sync.WaitGroup
	groups        []*consumer
	producers     []*producer
}

// work starts the clients.
func (w *world) work(ctx context.Context) *workload {
	l := &workload{w: w}
	producing, stopProducing := context.WithCancel(ctx)
	l.stopProducing = stopProducing
	ctx, l.stop = context.WithCancel(ctx)
	for n := range 3 {
		c := newClient(w, n+1)
		l.clients = append(l.clients, c)
		for p := range w.partitions {
			if n == 2 && p%2 == 1 { // two producers have some partitions together, three the others
				continue
			}
			one := &producer{c: c, n: n, partition: p}
			l.producers = append(l.producers, one)
			l.producing.Go(func() { one.run(ctx, producing) })
		}
	}
	readers := newClient(w, 10)
	l.clients = append(l.clients, readers)
	for p := range w.partitions {
		group := &consumer{c: readers, name: "the group", partition: p, group: fmt.Sprint("g", p)}
		l.groups = append(l.groups, group)
		for _, r := range []*consumer{group, {c: readers, name: "a reader from the start", partition: p}, {c: readers, name: "a reader at the tail", partition: p, tail: true}} {
			l.consuming.Go(func() { r.run(ctx) })
		}
	}
	return l
}

// finish lets the producers get their acknowledgements, then ends the consumers.
func (l *workload) finish(ctx context.Context) {
	l.stopProducing()
	done := make(chan struct{})
	go func() {
		l.producing.Wait()
		close(done)
	}()
	l.w.reviving(ctx, func() {
		select {
		case <-done:
		case <-ctx.Done():
			for _, p := range l.producers {
				if len(p.unacked) > 0 {
					l.w.fail("%v got no acknowledgement of %d batches although all is healed: %s", p, len(p.unacked), p.why)
				}
			}
		}
	})
	l.stop()
	l.consuming.Wait()
	for _, g := range l.groups {
		for ctx.Err() == nil && g.committed >= 0 && !g.recall(ctx) {
			_ = backoff.Sleep(ctx, g.c.backoff())
		}
	}
}

func (l *workload) close() {
	l.stopProducing()
	l.stop()
	for _, c := range l.clients {
		c.close()
	}
	l.producing.Wait()
	l.consuming.Wait()
}
