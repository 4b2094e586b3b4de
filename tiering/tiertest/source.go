package tiertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// Source is a partition whose journal is memory and whose head is in a
// metadata store.
type Source struct {
	ID    id.Partition
	heads *metadata.Writer
	owner id.Incarnation

	commits chan struct{} // holds one token

	Mu struct {
		sync.Mutex
		Head      *schema.Head
		Stored    schema.StoredHead
		Next      int64
		Batches   []object.Batch // all ever produced
		Data      [][]byte
		Producers []object.Producer
		Aborted   []object.Aborted
		oldest    int64
		loaded    int64
		ReadErr   error
		RecallErr error
		Lost      bool
		TimeKnown bool // what is said of the batches that come
	}
}

// NewSource makes a partition whose head is stored, with a log that begins at start.
func NewSource(t testing.TB, heads *metadata.Writer, p id.Partition, owner id.Incarnation, start int64) *Source {
	t.Helper()
	s := &Source{ID: p, heads: heads, owner: owner, commits: make(chan struct{}, 1)}
	s.commits <- struct{}{}
	s.Mu.Next = start
	h := &schema.Head{Ownership: schema.Ownership{Owner: owner, Broker: 1, Chain: []schema.Link{{Writer: owner, Start: start}}},
		LogStart: start, TieredEnd: start, Epochs: []schema.EpochStart{{Epoch: 0, Start: start}}}
	none := schema.StoredHead{Partition: p}
	rev, err := heads.Write(t.Context(), none.Guards(), none.Ops(h)...)
	if err != nil {
		t.Fatal(err)
	}
	s.Mu.Head, s.Mu.Stored = h, none.Stored(h, rev)
	return s
}

// Alter runs f, which changes what Mu guards, under its lock.
func (s *Source) Alter(f func()) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	f()
}

// Produce appends a batch, which waits for the tier from now on.
func (s *Source) Produce(batch kafka.Batch, epoch id.Epoch, now int64) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	batch.SetBaseOffset(s.Mu.Next)
	batch.SetLeaderEpoch(int32(epoch))
	s.Mu.Batches = append(s.Mu.Batches, object.Batch{Base: s.Mu.Next, End: batch.NextOffset(), Size: int32(len(batch)), MaxTime: batch.MaxTimestamp(), TimeKnown: s.Mu.TimeKnown, Epoch: epoch,
		Location: object.Location{Journal: id.Journal{Writer: s.owner, Seq: 1}, Pos: uint64(len(s.Mu.Data))}})
	s.Mu.Data = append(s.Mu.Data, batch)
	s.Mu.Next = batch.NextOffset()
	if s.Mu.oldest == 0 {
		s.Mu.oldest = now
	}
}

// Partition implements upload.Source.
func (s *Source) Partition() id.Partition { return s.ID }

// Recall implements upload.Source.
func (s *Source) Recall(context.Context) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.Mu.RecallErr
}

func (s *Source) untiered(from int64) int {
	from = max(from, s.Mu.Head.TieredEnd)
	return slices.IndexFunc(append(slices.Clone(s.Mu.Batches), object.Batch{Base: max(from, s.Mu.Next)}), func(b object.Batch) bool { return b.Base >= from })
}

// Pending implements upload.Source.
func (s *Source) Pending(from, limit int64) (run object.Run) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, b := range s.Mu.Batches[s.untiered(from):] {
		if limit -= int64(b.Size); limit < 0 && len(run.Batches) > 0 {
			break
		}
		run.Batches = append(run.Batches, b)
	}
	run.Producers, run.Aborted = s.Mu.Producers, s.Mu.Aborted
	return run
}

// PendingBytes implements upload.Source.
func (s *Source) PendingBytes() (n, oldest int64) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if s.Mu.Lost {
		return 0, 0
	}
	for _, b := range s.Mu.Batches[s.untiered(0):] {
		n += int64(b.Size)
	}
	if n == 0 {
		return 0, 0
	}
	return n, s.Mu.oldest
}

// Read implements upload.Source.
func (s *Source) Read(_ context.Context, b object.Batch, p []byte) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	copy(p, s.Mu.Data[b.Location.Pos])
	s.Mu.loaded++
	return s.Mu.ReadErr
}

// Loaded returns how many batches were read.
func (s *Source) Loaded() int64 {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.Mu.loaded
}

// Head implements upload.Source.
func (s *Source) Head() *schema.Head {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.Mu.Head
}

// UpdateHead implements upload.Source.
func (s *Source) UpdateHead(ctx context.Context, change func(*schema.Head) error) error {
	select {
	case <-s.commits:
		defer func() { s.commits <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.Mu.Lock()
	h, err := schema.DecodeHead(s.Mu.Head.Encode())
	h.Ownership = s.Mu.Head.Ownership
	h.Chain = slices.Clone(h.Chain)
	stored := s.Mu.Stored
	s.Mu.Unlock()
	if err != nil {
		return err
	}
	if err := change(h); err != nil {
		return err
	}
	rev, err := s.heads.Write(ctx, stored.Guards(), stored.Ops(h)...)
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if errors.Is(err, metadata.ErrConflict) {
		s.Mu.Lost = true
		return manifest.ErrNotOwner
	}
	if err != nil {
		return err
	}
	s.Mu.Head, s.Mu.Stored = h, stored.Stored(h, rev)
	if s.Mu.oldest = 0; s.untiered(0) < len(s.Mu.Batches) {
		s.Mu.oldest = 1
	}
	return nil
}

// History is what readers must get from an offset on.
func (s *Source) History(offset int64) []byte {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	var all []byte
	for i, b := range s.Mu.Batches {
		if b.End > offset && b.Base < s.Mu.Head.TieredEnd {
			all = append(all, s.Mu.Data[i]...)
		}
	}
	return all
}
