package tiering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
	"varve/s3store"
)

// putter writes immutable objects, and never gives up before ctx ends.
type putter struct {
	store     s3store.Store
	log       *slog.Logger
	base, max time.Duration // first and longest pause
	random    *chance.Source
	failed    func(err error) // counts
	waiting   func() int64    // bytes, for the log

	mu struct {
		sync.Mutex
		failing map[string]time.Time // what is failing, and since when
	}
}

// errTaken: somebody else's object has the name.
var errTaken = errors.New("object name is taken")

// put writes an object under a key that is this incarnation's alone.
func (p *putter) put(ctx context.Context, key string, data []byte) error {
	for attempt := 0; ; attempt++ {
		err := p.store.PutIfAbsent(ctx, key, bytes.NewReader(data))
		if errors.Is(err, s3store.ErrExists) {
			err = p.mine(ctx, key, len(data), attempt)
		}
		if err == nil || errors.Is(err, errTaken) {
			p.recovered("bucket")
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		p.failed(err)
		p.failing("bucket", err)
		if err := p.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// mine decides whose object lies under the key: an earlier attempt of ours, whose
// answer was lost, or another's.
func (p *putter) mine(ctx context.Context, key string, size, attempt int) error {
	if attempt == 0 {
		return fmt.Errorf("put %q: %w", key, errTaken)
	}
	object, err := p.store.Head(ctx, key)
	switch {
	case err != nil:
		return err
	case object.Size != int64(size):
		return fmt.Errorf("put %q of %d bytes, there are %d: %w", key, size, object.Size, errTaken)
	}
	return nil
}

// pause waits longer from attempt to attempt, but never exactly as long as others.
func (p *putter) pause(ctx context.Context, attempt int) error {
	limit := p.max
	if attempt < 20 {
		limit = min(limit, p.base<<attempt)
	}
	return pause(ctx, p.random.Spread(limit))
}

// failing logs the beginning of an outage, and only that.
func (p *putter) failing(what string, err error) {
	p.mu.Lock()
	if p.mu.failing == nil {
		p.mu.failing = map[string]time.Time{}
	}
	_, known := p.mu.failing[what]
	if !known {
		p.mu.failing[what] = time.Now()
	}
	p.mu.Unlock()
	if !known {
		p.log.Warn("the tier can't be written; records wait in the journal and it is tried again", "what", what, "waiting_bytes", p.waiting(), "err", err)
	}
}

func (p *putter) recovered(what string) {
	p.mu.Lock()
	since, known := p.mu.failing[what]
	delete(p.mu.failing, what)
	p.mu.Unlock()
	if known {
		p.log.Info("the tier can be written again", "what", what, "outage", time.Since(since).Round(time.Millisecond))
	}
}

// drafts writes pages that a commit will name; a tree's pageIO.
type drafts struct {
	reader *Reader
	put    *putter
	names  *Names
	made   []metadata.Object
	wrote  func() // counts
}

// storePage implements pageIO.
func (d *drafts) storePage(ctx context.Context, p *page) (metadata.Page, error) {
	b := p.encode()
	for {
		o := d.names.Next()
		d.made = append(d.made, o)
		err := d.put.put(ctx, PageKey(o), b)
		if err == nil {
			d.wrote()
			return metadata.Page{Object: o, Len: int32(len(b))}, nil
		}
		if !errors.Is(err, errTaken) {
			return metadata.Page{}, fmt.Errorf("store manifest page: %w", err)
		}
	}
}

// settle says that the pages were committed, or never will be.
func (d *drafts) settle() { d.names.Settle(d.made...) }

// loadPage implements pageIO.
func (d *drafts) loadPage(ctx context.Context, p id.Partition, at metadata.Page) (*page, error) {
	if err := d.reader.enter(); err != nil {
		return nil, err
	}
	defer d.reader.leave()
	return d.reader.loadPage(ctx, p, at)
}
