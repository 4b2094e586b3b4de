package metadata

import (
	"context"
	"errors"
	"strconv"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	grpcmd "google.golang.org/grpc/metadata"

	"varve/internal/backoff"
)

// maxWatchBytes is how much waits for a slow watcher. Beyond it the stream is
// closed until the watcher took what there is, and then taken up where it was;
// etcd's client alone would buffer without limit.
const maxWatchBytes = 8 << 20

// errWatchEnded: the stream ended without saying why.
var errWatchEnded = errors.New("watch stream ended")

// etcdWatch is one watch, owned by one goroutine.
type etcdWatch struct {
	s      *etcdStore
	prefix string
	out    chan Batch

	rev     Revision // up to here everything is delivered or pending
	placed  bool     // rev is a place to go on from
	begun   bool     // the first state was read
	pending Batch    // what was not delivered yet, if it has a Rev
	bytes   int      // the size of pending
	wait    backoff.Retry
	refused bool // a refusal was logged, and nothing came since
}

// Watch implements Store.
func (s *etcdStore) Watch(ctx context.Context, prefix string) <-chan Batch {
	w := &etcdWatch{s: s, prefix: prefix, out: make(chan Batch), wait: backoff.Retry{Policy: retries}}
	if !s.start(func() { w.run(ctx) }) {
		close(w.out)
	}
	return w.out
}

// run delivers until the watcher or the store is done.
func (w *etcdWatch) run(ctx context.Context) {
	defer close(w.out)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.s.ctx, cancel)()
	for ctx.Err() == nil {
		err := w.step(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		w.failed(err)
		_ = w.wait.Wait(ctx)
	}
}

// step does what comes next: read the state, deliver what is pending, or follow
// the changes.
func (w *etcdWatch) step(ctx context.Context) error {
	if !w.placed {
		return w.restart(ctx)
	}
	if w.pending.Rev != 0 {
		select {
		case w.out <- w.pending:
			w.taken()
		case <-ctx.Done():
		}
		return nil
	}
	return w.follow(ctx)
}

// restart reads the whole state, which takes the place of what is pending.
func (w *etcdWatch) restart(ctx context.Context) error {
	kvs, rev, err := w.s.List(ctx, w.prefix)
	if err != nil {
		return err
	}
	events := make([]Event, len(kvs))
	for i, kv := range kvs {
		events[i] = Event{Type: EventPut, KV: kv}
	}
	if w.begun {
		w.s.metrics.resets.Inc()
	}
	w.pending, w.bytes = Batch{Rev: rev, Reset: true, Events: events}, 0
	w.rev, w.placed, w.begun = rev, true, true
	return nil
}

// follow takes changes from etcd and delivers them, until the stream ends or
// the watcher is too slow.
//
// Fragments are not asked for, so a response holds whole revisions, and so does
// pending.
func (w *etcdWatch) follow(ctx context.Context) error {
	// A stream of its own: one that was refused is not used again, so that the
	// next has a new token, and a slow watcher doesn't hold up others.
	id := strconv.FormatUint(w.s.streams.Add(1), 10)
	ctx, cancel := context.WithCancel(grpcmd.AppendToOutgoingContext(ctx, "varve-watch", id))
	defer cancel()
	defer context.AfterFunc(w.s.health.try(), cancel)() // its server may hang
	in := w.s.client.Watch(clientv3.WithRequireLeader(ctx), w.s.cfg.Prefix+w.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(int64(w.rev)+1), clientv3.WithCreatedNotify())
	for w.bytes <= maxWatchBytes {
		var out chan Batch
		if w.pending.Rev != 0 {
			out = w.out
		}
		select {
		case out <- w.pending:
			w.taken()
		case r, ok := <-in:
			if !ok {
				return errWatchEnded
			}
			if err := r.Err(); err != nil {
				return err
			}
			w.add(r)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// add takes over a response, which also shows that etcd is there.
func (w *etcdWatch) add(r clientv3.WatchResponse) {
	w.wait.Reset()
	w.refused = false
	w.s.health.note(nil)
	for _, e := range r.Events {
		ev := Event{Type: EventPut, KV: w.s.kv(e.Kv)}
		if e.Type == clientv3.EventTypeDelete {
			ev = Event{Type: EventDelete, KV: KV{Key: ev.KV.Key, Mod: ev.KV.Mod}}
		}
		w.pending.Events = append(w.pending.Events, ev)
		w.bytes += len(ev.KV.Key) + len(ev.KV.Value) + opOverhead
		w.rev = ev.KV.Mod
		w.pending.Rev = w.rev
	}
}

func (w *etcdWatch) taken() { w.pending, w.bytes = Batch{}, 0 }

// failed decides what an ended stream means: an outage, a lost place, or a refusal
// that may pass.
func (w *etcdWatch) failed(err error) {
	if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev) {
		w.s.log.Warn("metadata watch lost its place, reading the state again", "prefix", w.prefix, "rev", w.rev, "err", err)
		w.placed, w.pending, w.bytes = false, Batch{}, 0
		return
	}
	err = mapError(context.Background(), err)
	w.s.metrics.errors.WithLabelValues("watch", kindOf(err)).Inc()
	if errors.Is(err, ErrUnavailable) {
		w.s.health.note(err)
		return
	}
	if !w.refused {
		w.refused = true
		w.s.log.Error("metadata watch ended, trying again", "prefix", w.prefix, "err", err)
	}
}
