package agent

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
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
	end     context.CancelFunc
	done    sync.WaitGroup
}

func (a *Agent) openTier(_, life context.Context) error {
	t := new(tier)
	names := manifest.NewObjectIDs(a.inc, metadata.FirstTimed)
	t.Reader = read.New(a.deps.Objects, a.cfg.Read, a.deps.Registry)
	t.upload = upload.New(a.cfg.Upload, upload.Deps{
		Store: a.deps.Objects, Pages: t.Reader, IDs: names, Sources: a.uploads, Topic: a.topicName,
		Clock: a.millis, Hurry: func() bool { return a.store.Pressure() > 0 }, Unhurried: unhurried(a.cfg.Journal),
		OnCommitted: func() { a.own.Trim(life) },
		Random:      a.random.Split(), Log: a.log.With("part", "tier"), Registerer: a.deps.Registry,
	})
	t.collect = garbage.New(a.cfg.Garbage, garbage.Deps{
		Store: a.deps.Objects, Pages: t.Reader, Meta: a.deps.Meta, Floor: func(i id.Incarnation) uint64 {
			if i == a.inc {
				return names.Floor()
			}
			return 0
		}, Log: a.log.With("part", "garbage"), Registerer: a.deps.Registry,
	})
	random, log := a.random.Split(), a.log.With("part", "retention")
	t.keep = retain.New(a.cfg.Retention, retain.Deps{
		Store: a.deps.Objects, Reader: t.Reader, IDs: names, Sources: a.retained, Limits: a.retention, Remember: a.remember, Topic: a.topicName,
		Clock: a.millis, Dropped: t.collect.Offer, Random: random, Log: log, Registerer: a.deps.Registry,
	})
	t.skip = read.NewSkipper(t.Reader, read.SkipDeps{
		Store: a.deps.Objects, IDs: names, Topic: a.topicName, Clock: a.millis, Dropped: t.collect.Offer, Random: random, Log: log,
	})
	a.tier = t
	watching := a.random.Split()
	a.run(func() { a.inspect.places.watchBucket(life, watching) })
	a.run(func() { a.inspect.places.watchClocks(life) })
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

// runTier begins to upload, to apply retention and to collect garbage, as soon as the
// bucket is known to be this cluster's; it goes on until stop.
func (a *Agent) runTier(life context.Context) {
	var ctx context.Context
	ctx, a.tier.end = context.WithCancel(life)
	for name, f := range map[string]func(context.Context) error{"upload": a.tier.upload.Run, "retention": a.tier.keep.Run, "garbage": a.tier.collect.Run} {
		a.tier.done.Add(1)
		go func() {
			defer a.tier.done.Done()
			select {
			case <-a.bucket.done:
			case <-ctx.Done(): // who waits for a flush is told
			}
			if err := f(ctx); err != nil && ctx.Err() == nil {
				a.die(fmt.Errorf("%s: %w", name, err))
			}
		}()
	}
}

// retention returns what a partition's topic keeps, if it deletes at all.
func (a *Agent) retention(p id.Partition) (keep retain.Limits, ok bool) {
	owned := a.owned.Get(p)
	if owned == nil {
		return keep, false
	}
	s := owned.Settings()
	return retain.Limits{Ms: s.RetentionMs, Bytes: s.RetentionBytes}, s.Delete
}

// remember returns for how long a partition's producers are remembered, in ms.
func (a *Agent) remember(p id.Partition) int64 {
	if owned := a.owned.Get(p); owned != nil {
		return owned.Settings().ProducerExpiryMs
	}
	return 0
}

// uploads returns the owned partitions, for the uploader.
func (a *Agent) uploads() iter.Seq[upload.Source] {
	return func(yield func(upload.Source) bool) {
		for _, p := range a.owned.All() {
			if !yield(p) {
				return
			}
		}
	}
}

// retained returns the owned partitions, for retention.
func (a *Agent) retained() iter.Seq[retain.Source] {
	return func(yield func(retain.Source) bool) {
		for _, p := range a.owned.All() {
			if !yield(p) {
				return
			}
		}
	}
}

func (a *Agent) topicName(t id.Topic) string {
	if found, ok := a.view.TopicByID(t); ok {
		return found.Name
	}
	return a.view.Deleted()[t].Name
}

// flush uploads everything that waits.
func (t *tier) flush(ctx context.Context) error { return t.upload.Flush(ctx) }

// stop ends uploads and reads.
func (t *tier) stop() {
	if t.end != nil {
		t.end()
		t.done.Wait()
	}
	t.Close()
}

// DeleteTo moves the log start of an owned partition to offset.
func (t *tier) DeleteTo(ctx context.Context, p *partition.Partition, offset int64) error {
	return t.keep.DeleteTo(ctx, p, offset)
}
