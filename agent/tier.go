package agent

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"varve/internal/id"
	"varve/partition"
	"varve/tiering"
)

// tier is this agent's side of the bucket.
type tier struct {
	*tiering.Reader
	upload  *tiering.Uploader
	keep    *tiering.Keeper
	collect *tiering.Collector
	end     context.CancelFunc
	done    sync.WaitGroup
}

func (a *Agent) openTier(_, life context.Context) error {
	t := new(tier)
	names := tiering.NewNames(a.inc)
	t.Reader = tiering.NewReader(a.deps.Objects, a.cfg.Read, a.deps.Registry)
	t.upload = tiering.NewUploader(a.cfg.Upload, tiering.UploadDeps{
		Store: a.deps.Objects, Reader: t.Reader, Names: names, Sources: a.sources, Topic: a.topicName,
		Clock: a.millis, Hurry: func() bool { return a.store.Pressure() > 0 }, OnCommitted: func() { a.trim(life) },
		Random: a.random.Split(), Log: a.log.With("part", "tier"), Registerer: a.deps.Registry,
	})
	t.collect = tiering.NewCollector(a.cfg.Garbage, tiering.GarbageDeps{
		Store: a.deps.Objects, Reader: t.Reader, Meta: a.deps.Meta, Floor: func(i id.Incarnation) uint64 {
			if i == a.inc {
				return names.Floor()
			}
			return 0
		}, Log: a.log.With("part", "garbage"), Registerer: a.deps.Registry,
	})
	t.keep = tiering.NewKeeper(a.cfg.Retention, tiering.KeeperDeps{
		Store: a.deps.Objects, Reader: t.Reader, Names: names, Sources: a.sources, Retention: a.retention, Remember: a.remember, Topic: a.topicName,
		Clock: a.millis, Dropped: t.collect.Offer, Random: a.random.Split(), Log: a.log.With("part", "retention"), Registerer: a.deps.Registry,
	})
	a.tier = t
	random := a.random.Split()
	a.run(func() { a.inspect.places.watchBucket(life, random) })
	a.run(func() { a.inspect.places.watchClocks(life) })
	return nil
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

// retention gives what a partition's topic keeps, if it deletes at all.
func (a *Agent) retention(p id.Partition) (keep tiering.Retention, ok bool) {
	owned := a.owned.Get(p)
	if owned == nil {
		return keep, false
	}
	s := owned.Settings()
	return tiering.Retention{Ms: s.RetentionMs, Bytes: s.RetentionBytes}, s.Delete
}

// remember gives for how long a partition's producers are remembered, in ms.
func (a *Agent) remember(p id.Partition) int64 {
	if owned := a.owned.Get(p); owned != nil {
		return owned.Settings().ProducerExpiryMs
	}
	return 0
}

func (a *Agent) sources() iter.Seq[tiering.Source] {
	return func(yield func(tiering.Source) bool) {
		for _, p := range a.owned.all() {
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
