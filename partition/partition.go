// Package partition keeps one partition's truth: its epoch, offsets, producers,
// and where each batch is. It appends to the owner's journal and hands history
// to the tier. It alone knows that a log has a tail in journals and the rest in
// the tier: readers ask it, and get one answer.
//
// It promises that offsets are dense and in journal order, that no reader sees a
// record before it is committed, that a producer's repeated batch is stored
// once, and that after the head refused a write nothing is acknowledged any more.
// No lock is held over I/O, and nothing here knows of connections or requests.
package partition

import (
	"context"
	"errors"
	"log/slog"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/meter"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/wal"
)

// Errors that callers map to Kafka's codes; those of package kafka come through as well.
var (
	// ErrNotOwner: this agent does not own the partition (any more).
	ErrNotOwner = manifest.ErrNotOwner
	// ErrFencedEpoch and ErrUnknownEpoch: the caller's leader epoch is older or
	// newer than the partition's (KIP-320).
	ErrFencedEpoch  = errors.New("leader epoch is older than the partition's")
	ErrUnknownEpoch = errors.New("leader epoch is newer than the partition's")
	// ErrOutOfRange: the offset is below the log start or beyond the end.
	ErrOutOfRange = errors.New("offset is out of range")
	// ErrProducerFenced: a newer producer epoch was seen.
	ErrProducerFenced = errors.New("producer epoch is older than the one known")
	// ErrOutOfOrder: the sequence number doesn't follow.
	ErrOutOfOrder = errors.New("sequence number is out of order")
	// ErrTimestamp: a record's timestamp is outside the topic's bounds.
	ErrTimestamp = errors.New("timestamp is out of the topic's bounds")
	// ErrTransactional: the batch belongs to a transaction, which was never begun.
	ErrTransactional = errors.New("no transaction is open")
	// ErrTooLarge: the batch is larger than the journal takes at once.
	ErrTooLarge = wal.ErrTooLarge
	// ErrFull: the journal has reached its disk budget.
	ErrFull = wal.ErrFull
	// ErrHole: records of the tier can't be read, as the object that holds them is gone or
	// damaged.
	ErrHole = object.ErrHole
)

// Journal is the owner's open journal (wal.Writer).
type Journal interface {
	ID() id.Journal
	Append(rec *wal.Record, body []byte, owner wal.Owner) error
	Room() <-chan struct{}
	Wait(ctx context.Context, room <-chan struct{}) error
}

// Local reads journals that are on this agent's disk (wal.Store).
type Local interface {
	View(j id.Journal, pos wal.Pos, n int) (wal.View, bool)
	ReadAt(j id.Journal, p []byte, pos wal.Pos) error
	Floor(j id.Journal) wal.Pos
}

// Heads stores heads (metadata.Writer).
type Heads interface {
	Write(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error)
}

// Deps are what partitions of one agent share.
type Deps struct {
	Journal Journal
	Local   Local
	Heads   Heads
	Stored  schema.Reader
	Tier    Tier
	Starts  Starts
	Clock   Clock
	Remote  func(id.Journal) bool // reports what Local has to ask peers for, which may take long; nil: nothing
	Copies  *Copies               // bounds what reads copy; nil: nothing does
	Metrics *Metrics              // nil: none are kept
	Log     *slog.Logger          // nil: nothing is said
	// TrustHeaders leaves the records of a batch unread where the topic's settings
	// don't demand it (produce.validation=headers).
	TrustHeaders bool
	// Traffic returns the counters of a topic; nil: none are kept.
	Traffic func(id.Topic) *meter.Traffic
}

// Clock tells the time in ms since 1970. It is the only one by which records, producers and
// what waits for the tier have a time.
type Clock func() int64

// Now returns the time of the partition's clock, in ms since 1970.
func (p *Partition) Now() int64 { return p.deps.Clock() }

// Partition is a partition that this agent owns.
type Partition struct {
	Ownership
	Appender
	Reader
	Untiered

	id      id.Partition
	deps    *Deps
	traffic *meter.Traffic // counts what clients do; nil: nothing does
	mu      guarded
}

// Done is called with the outcome of an append, exactly once, possibly before Append
// returns. It must not block.
type Done interface {
	Appended(base int64, err error)
}

// New makes a partition out of the head that names this agent as its owner, not
// yet serving: Adopt the tail, then Serve.
func New(deps *Deps, stored schema.StoredHead, s *Settings) *Partition {
	p, head := stored.Partition, stored.Head
	n := &Partition{id: p, deps: deps, mu: guarded{
		settings:  s,
		log:       log{closed: ErrNotOwner, epoch: head.Epoch, next: head.TieredEnd, high: head.TieredEnd, start: head.LogStart, head: head, stored: stored},
		producers: producers{whole: head.TieredEnd == 0},
		watchers:  watchers{},
	}}
	if deps.Traffic != nil {
		n.traffic = deps.Traffic(p.Topic)
	}
	n.Ownership = newOwnership(p, deps, &n.mu)
	n.Appender = Appender{id: p, deps: deps, mu: &n.mu, own: &n.Ownership, traffic: n.traffic}
	n.Reader = Reader{id: p, deps: deps, mu: &n.mu, own: &n.Ownership}
	n.Untiered = Untiered{deps, &n.mu}
	return n
}

// ID is the partition's.
func (p *Partition) ID() id.Partition { return p.id }

// Partition is ID, for manifest.Owned.
func (p *Partition) Partition() id.Partition { return p.id }

// Configure changes the topic's settings.
func (p *Partition) Configure(s *Settings) {
	p.mu.Lock()
	p.mu.settings = s
	p.mu.Unlock()
}

// Settings are the topic's, as far as a partition needs them.
func (p *Partition) Settings() *Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.settings
}

// Adopt takes over what a sealed journal holds of the partition: the batch that
// rec describes, whose body is at pos. Batches come in order; those that the
// tier has already are passed over.
func (p *Partition) Adopt(j id.Journal, rec *wal.Record, pos wal.Pos) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rec.End() > p.mu.log.next {
		if rec.Base != p.mu.log.next {
			return errGap(p.id, p.mu.log.next, rec.Base)
		}
		p.mu.log.next = rec.End()
		p.mu.log.high = p.mu.log.next
		p.mu.log.tail.push(j, refOf(rec, pos))
		p.mu.backlog.add(int64(rec.Size), p.deps.Clock)
	}
	// When it was appended isn't known any more.
	p.mu.producers.note(rec.ProducerID, rec.ProducerEpoch, rec.BaseSequence, rec.LastDelta, rec.Base, p.deps.Clock())
	return nil
}

// Serve begins to accept appends and reads, after all that is sealed was adopted.
func (p *Partition) Serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.log.settle()
	p.mu.log.closed = nil
}

// Close ends everything with ErrNotOwner: waiting appends and watchers are woken.
func (p *Partition) Close() { p.mu.close(ErrNotOwner) }

// Retire is Close if the tier has all of the partition; it reports whether it has. No
// append can come in between.
func (p *Partition) Retire() bool {
	p.mu.Lock()
	all := p.mu.log.next == p.mu.log.head.TieredEnd
	if all && p.mu.log.closed == nil {
		p.mu.log.closed = ErrNotOwner
	}
	p.mu.Unlock()
	if all {
		p.Close()
	}
	return all
}

// CheckEpoch compares the leader epoch that a client knows (NoEpoch: none) with
// the partition's.
func (p *Partition) CheckEpoch(e id.Epoch) error { return p.mu.checkEpoch(e) }

// Work is what clients made a partition do: bytes written and read at the tail, and
// the batches and reads that they came in.
type Work struct {
	Bytes    int64
	Requests int64
}

// count counts one request.
func (w *Work) count(bytes int64) {
	w.Bytes += bytes
	w.Requests++
}

// Work is the partition's since it was opened here.
func (p *Partition) Work() Work {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.work
}

// Fetched counts what clients were sent of the partition.
func (p *Partition) Fetched(bytes, records int64) {
	if p.traffic != nil {
		p.traffic.Out(bytes, records)
	}
}

var _ manifest.Owned = (*Partition)(nil)

// batchLimit bounds what a batch may decompress to: a multiple of what it may be.
func batchLimit(s *Settings) int { return max(64<<20, 16*int(s.MaxMessageBytes)) }
