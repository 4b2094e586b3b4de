package agent

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/owner"
	"varve/tiering/garbage"
	"varve/tiering/manifest"
	"varve/tiering/read"
	"varve/tiering/retain"
	"varve/tiering/upload"
	"varve/wal"
)

// tier is this agent's side of the bucket.
type tier struct {
	*read.Reader
	upload  *upload.Uploader
	keep    *retain.Retention
	skip    *read.Skipper
	collect *garbage.Collector
	ctx     context.Context // of what run begins
	end     context.CancelFunc
	done    sync.WaitGroup
}

func (a *Agent) openTier(_, life context.Context) error {
	t := new(tier)
	t.ctx, t.end = context.WithCancel(life)
	topics, from := names{a.view}, sources{a.owned}
	ids := manifest.NewObjectIDs(a.inc, schema.FirstTimed)
	t.Reader = read.New(a.deps.Objects, a.cfg.Read, a.deps.Registry)
	t.upload = upload.New(a.cfg.Upload, upload.Deps{
		Store: a.deps.Objects, Pages: t.Reader, IDs: ids, Sources: from.uploads, Topic: topics.topic,
		Clock: a.millis, Hurry: func() bool { return a.store.Pressure() > 0 }, Unhurried: unhurried(a.cfg.Journal),
		OnCommitted: func() { a.own.Trim(life) },
		Random:      a.random.Split(), Log: a.log.With("part", "tier"), Registerer: a.deps.Registry,
	})
	t.collect = garbage.New(a.cfg.Garbage, garbage.Deps{
		Store: a.deps.Objects, Pages: t.Reader, Meta: a.deps.Meta, Floor: func(i id.Incarnation) uint64 {
			if i == a.inc {
				return ids.Floor()
			}
			return 0
		}, Log: a.log.With("part", "garbage"), Registerer: a.deps.Registry,
	})
	random, log := a.random.Split(), a.log.With("part", "retention")
	t.keep = retain.New(a.cfg.Retention, retain.Deps{
		Store: a.deps.Objects, Reader: t.Reader, IDs: ids, Sources: from.retained, Limits: from.retention, Remember: from.remember, Topic: topics.topic,
		Clock: a.millis, Dropped: t.collect.Offer, Random: random, Log: log, Registerer: a.deps.Registry,
	})
	t.skip = read.NewSkipper(t.Reader, read.SkipDeps{
		Store: a.deps.Objects, IDs: ids, Topic: topics.topic, Clock: a.millis, Dropped: t.collect.Offer, Random: random, Log: log,
	})
	a.tier = t
	a.holes = &holes{a.process, topics, a.owned, t}
	watching := a.random.Split()
	a.run(func() { a.places.watchBucket(life, watching, a.bucket.claim) })
	a.run(func() { a.places.watchClocks(life) })
	return nil
}

// unhurried returns the number of waiting bytes above which uploads are not paced. With a
// large cache, uploads should read from memory, because under load the disk is busy.
// Otherwise they run at full speed well before producers are throttled.
func unhurried(c wal.Config) int64 {
	if cached := c.CacheBytes / 4 * 3; cached >= 1<<30 {
		return min(cached, c.SoftBytes/2)
	}
	return c.SoftBytes / 2
}

// run begins to upload, to apply retention and to collect garbage, as soon as the
// bucket is known to be this cluster's; it goes on until stop.
func (t *tier) run(known <-chan struct{}, die func(error)) {
	for name, f := range map[string]func(context.Context) error{"upload": t.upload.Run, "retention": t.keep.Run, "garbage": t.collect.Run} {
		t.done.Go(func() {
			select {
			case <-known:
			case <-t.ctx.Done(): // those that wait for a flush are answered
			}
			if err := f(t.ctx); err != nil && t.ctx.Err() == nil {
				die(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
}

// flush uploads everything that waits.
func (t *tier) flush(ctx context.Context) error { return t.upload.Flush(ctx) }

// stop ends uploads and reads.
func (t *tier) stop() {
	t.end()
	t.done.Wait()
	t.Close()
}

// sources are the partitions that uploads and retention work on.
type sources struct{ set *owner.Set }

// retention returns what a partition's topic keeps, if it deletes at all.
func (s sources) retention(p id.Partition) (keep retain.Limits, ok bool) {
	owned := s.set.Get(p)
	if owned == nil {
		return keep, false
	}
	of := owned.Settings()
	return retain.Limits{Ms: of.RetentionMs, Bytes: of.RetentionBytes}, of.Delete
}

// remember returns for how long a partition's producers are remembered, in ms.
func (s sources) remember(p id.Partition) int64 {
	if owned := s.set.Get(p); owned != nil {
		return owned.Settings().ProducerExpiryMs
	}
	return 0
}

// uploads returns the owned partitions, for the uploader.
func (s sources) uploads() iter.Seq[upload.Source] {
	return func(yield func(upload.Source) bool) {
		for _, p := range s.set.All() {
			if !yield(p) {
				return
			}
		}
	}
}

// retained returns the owned partitions, for retention.
func (s sources) retained() iter.Seq[retain.Source] {
	return func(yield func(retain.Source) bool) {
		for _, p := range s.set.All() {
			if !yield(p) {
				return
			}
		}
	}
}
