package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"varve/internal/chance"
)

// Report is what Probe found.
type Report struct {
	Capabilities
	// Skew is how far the store's clock is ahead of ours, by the age of an object
	// just written. Garbage collection goes by the store's clock.
	Skew time.Duration
	// Notes are sentences for the log: what the store can't do, and what Varve
	// does instead. None for a store that can do all.
	Notes []string
	// NoList: the store doesn't let us list objects.
	NoList bool
	// NoDelete: the store doesn't let us delete objects.
	NoDelete bool
}

const (
	// ProbeFolder holds the probe objects; ones left over do no harm.
	ProbeFolder = "varve-probe/"
	// skewLimit is the clock difference that is worth a note.
	skewLimit = time.Minute
)

// Probe writes, reads, lists and deletes a small object, and finds out whether
// the store really refuses to overwrite. A store from Open (or Adapt) acts on
// what was found from then on. The error means that the store can't be used as
// it is: it doesn't answer, refuses, or returns other bytes than were written.
// random names the object; nil is the system's.
func Probe(ctx context.Context, store Store, random *chance.Source) (Report, error) {
	p := prober{
		store:  store,
		key:    ProbeFolder + fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()),
		first:  []byte("varve asks what this store can do"),
		second: []byte("varve asks whether this store overwrites"),
	}
	p.report.Capabilities = store.Capabilities()
	p.report.IfNoneMatch = true
	if adapted, ok := store.(*Adapted); ok {
		p.store = adapted.Store // the store itself, not what was made up for it
	}
	for _, step := range []func(context.Context) error{p.write, p.overwrite, p.read, p.list, p.remove} {
		if err := step(ctx); err != nil {
			return p.report, fmt.Errorf("probe object store: %w", err)
		}
	}
	if adapted, ok := store.(*Adapted); ok {
		adapted.Use(p.report.Capabilities)
	}
	return p.report, nil
}

type prober struct {
	store         Store
	report        Report
	key           string
	first, second []byte
	held          []byte // what the object must hold
}

func (p *prober) note(format string, args ...any) {
	p.report.Notes = append(p.report.Notes, fmt.Sprintf(format, args...))
}

// instead describes what Varve does where if-none-match doesn't work.
const instead = "Varve asks with a HEAD request before it writes (one more request for each object), " +
	"and relies on object names that no other writer uses and on fencing in etcd"

func (p *prober) write(ctx context.Context) error {
	p.held = p.first
	err := p.store.PutIfAbsent(ctx, p.key, bytes.NewReader(p.first))
	if !errors.Is(err, ErrUnsupported) {
		return err
	}
	p.report.IfNoneMatch = false
	p.note("the store doesn't know conditional writes (if-none-match); %s", instead)
	return p.store.Put(ctx, p.key, bytes.NewReader(p.first))
}

func (p *prober) overwrite(ctx context.Context) error {
	if !p.report.IfNoneMatch {
		return nil
	}
	err := p.store.PutIfAbsent(ctx, p.key, bytes.NewReader(p.second))
	if errors.Is(err, ErrExists) {
		return nil
	}
	if err == nil {
		p.held = p.second
		p.report.IfNoneMatch = false
		p.note("the store overwrites objects although it is told not to (if-none-match); %s", instead)
	}
	return err
}

func (p *prober) read(ctx context.Context) error {
	object, err := p.store.Head(ctx, p.key)
	if err != nil {
		return err
	}
	if object.Size != int64(len(p.held)) {
		return fmt.Errorf("%q: the store says %d bytes, %d were written", p.key, object.Size, len(p.held))
	}
	if p.report.Skew = time.Until(object.Modified); p.report.Skew.Abs() > skewLimit {
		p.note("the store's clock and this machine's are %s apart; the age of objects is taken by the store's", p.report.Skew.Abs().Round(time.Second))
	}
	for _, r := range [][2]int64{{0, -1}, {6, 4}} {
		if err := p.readRange(ctx, r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) readRange(ctx context.Context, off, length int64) error {
	body, err := p.store.Get(ctx, p.key, off, length)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, int64(len(p.held))+1))
	if err != nil {
		return err
	}
	want := p.held[off:]
	if length > 0 {
		want = want[:length]
	}
	if !bytes.Equal(data, want) {
		return fmt.Errorf("%q: the store returns other bytes than were written (from %d: %q)", p.key, off, data)
	}
	return nil
}

func (p *prober) list(ctx context.Context) error {
	found := false
	err := p.store.List(ctx, ProbeFolder, "", func(object Object) bool {
		found = found || object.Key == p.key
		return !found
	})
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrUnsupported) {
		p.report.NoList = true
		p.note("the store doesn't let us list objects (%v); orphans are not collected, and fsck and restore can't work", err)
		return nil
	}
	if err == nil && !found {
		p.note("the store's listings lack an object just written; orphans are found later than they could be")
	}
	return err
}

func (p *prober) remove(ctx context.Context) error {
	err := p.store.Delete(ctx, []string{p.key})
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrUnsupported) {
		p.report.NoDelete = true
		p.note("the store doesn't let us delete objects (%v); what retention drops stays in the bucket", err)
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := p.store.Head(ctx, p.key); err == nil {
		p.note("the store still shows an object that it deleted")
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
