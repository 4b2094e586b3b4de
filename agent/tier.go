package agent

import (
	"context"
	"fmt"
	"iter"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/partition"
	"varve/s3store"
	"varve/tiering"
)

// tier is this agent's side of the bucket.
type tier struct {
	*tiering.Reader
	upload *tiering.Uploader
	end    context.CancelFunc
	ended  chan struct{}
}

func (a *Agent) openTier(_, life context.Context) error {
	t := &tier{ended: make(chan struct{})}
	t.Reader = tiering.NewReader(a.deps.Objects, a.cfg.Read, a.deps.Registry)
	t.upload = tiering.NewUploader(a.cfg.Upload, tiering.UploadDeps{
		Store: a.deps.Objects, Reader: t.Reader, Names: tiering.NewNames(a.inc), Sources: a.sources, Topic: a.topicName,
		Clock: a.millis, Hurry: func() bool { return a.store.Pressure() > 0 }, OnCommitted: func() { a.trim(life) },
		Log: a.log.With("part", "tier"), Registerer: a.deps.Registry,
	})
	a.tier = t
	a.run(func() { a.probeStore(life) })
	return nil
}

// runTier begins to upload; it goes on until stop.
func (a *Agent) runTier(life context.Context) {
	var ctx context.Context
	ctx, a.tier.end = context.WithCancel(life)
	a.run(func() {
		defer close(a.tier.ended)
		if err := a.tier.upload.Run(ctx); err != nil && ctx.Err() == nil {
			a.die(fmt.Errorf("upload: %w", err))
		}
	})
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
	return ""
}

// probeStore says once what the bucket can't do; while it is away it is asked
// again.
func (a *Agent) probeStore(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		report, err := s3store.Probe(ctx, a.deps.Objects)
		if err == nil {
			for _, note := range report.Notes {
				a.log.Info("object store", "note", note)
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("the object store does not work yet; records stay in the journal", "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// flush uploads everything that waits.
func (t *tier) flush(ctx context.Context) error { return t.upload.Flush(ctx) }

// stop ends uploads and reads.
func (t *tier) stop() {
	if t.end != nil {
		t.end()
		<-t.ended
	}
	t.Close()
}

// DeleteTo moves the log start of an owned partition to offset.
func (t *tier) DeleteTo(ctx context.Context, p *partition.Partition, offset int64) error {
	return p.Commit(ctx, func(h *metadata.Head) error {
		h.LogStart = max(h.LogStart, offset)
		return nil
	})
}
