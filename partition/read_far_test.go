package partition

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/object"
	"varve/tiering/read"
)

// answer is one of a tier's.
type answer struct {
	bytes int
	err   error
}

// scripted is a tier that gives its answers in order, and of a metadata store the head.
type scripted struct {
	Tier
	answers []answer
	known   *object.HoleError
	noted   time.Time
	owner   id.Incarnation
}

func (s *scripted) Read(ctx context.Context, _ *schema.Head, _ id.Partition, offset int64, limit int) (d read.Data, err error) {
	if len(s.answers) == 0 {
		<-ctx.Done()
		return d, ctx.Err()
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	if next.err == nil {
		d.Pieces, d.Bytes, d.Next = [][]byte{make([]byte, next.bytes)}, next.bytes, offset+1
	}
	return d, next.err
}

func (s *scripted) HoleAt(id.Partition, int64) *object.HoleError { return s.known }
func (s *scripted) FoundHole(_ *object.HoleError, now time.Time) bool {
	s.noted = now
	return true
}

func (s *scripted) Get(context.Context, string) (metadata.KV, error) {
	h := schema.Ownership{Owner: s.owner}
	return metadata.KV{Value: h.Encode()}, nil
}

// TestReadsOfTheTier: what a reader gets when the bucket answers, or doesn't. Nothing without
// an error is to be asked for again.
func TestReadsOfTheTier(t *testing.T) {
	hole := &object.HoleError{Partition: part, From: 3, To: 9, Key: "k", Err: object.ErrGone}
	other := &object.HoleError{Partition: part, From: 3, To: 9, Key: "k2", Err: object.ErrGone}
	gone := func(h *object.HoleError) answer { return answer{err: fmt.Errorf("read: %w", h)} }
	away := errors.New("the bucket is away")
	for name, x := range map[string]struct {
		answers []answer
		known   *object.HoleError
		moved   bool // another agent owns the partition
		bytes   int
		err     error
		took    time.Duration
		noted   bool
	}{
		"there":                {answers: []answer{{bytes: 100}}, bytes: 100},
		"no memory":            {answers: []answer{{err: fmt.Errorf("read: %w", read.ErrBusy)}}},
		"too slow":             {took: time.Minute},
		"below the start":      {answers: []answer{{err: fmt.Errorf("read: %w", read.ErrBelowStart)}}, err: ErrOutOfRange},
		"away":                 {answers: []answer{{err: away}}, err: away},
		"a hole":               {answers: []answer{gone(hole), gone(hole)}, err: ErrHole, took: secondLook, noted: true},
		"a hole of an old one": {answers: []answer{gone(hole), gone(hole)}, moved: true, err: ErrNotOwner, took: secondLook},
		"a hole that closes":   {answers: []answer{gone(hole), {bytes: 100}}, bytes: 100, took: secondLook},
		"another hole":         {answers: []answer{gone(hole), gone(other), gone(other)}, err: ErrHole, took: 2 * secondLook, noted: true},
		"a hole, then slow":    {answers: []answer{gone(hole)}, took: time.Minute},
		"a known hole":         {known: hole, err: ErrHole},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tier := &scripted{answers: x.answers, known: x.known}
				if x.moved {
					tier.owner = 7
				}
				const now = 1_790_000_000_000
				p := New(&Deps{Tier: tier, Stored: tier, Clock: func() int64 { return now }}, schema.StoredHead{Partition: part, Head: &schema.Head{TieredEnd: 9}}, settings())
				p.Serve()
				r := Reading{Offset: 3, Limit: 1 << 20, Epoch: id.NoEpoch}
				d, at, s, err := p.ReadNear(r)
				if at != InTier || d.Bytes != 0 || s.High != 9 || err != nil {
					t.Fatalf("near: %d bytes, place %v, %+v, %v", d.Bytes, at, s, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				d, s, err = p.ReadFar(ctx, at, r)
				if d.Bytes != x.bytes || d.Tier != (x.bytes > 0) || len(d.Pieces) != min(1, x.bytes) || s.High != 9 || !errors.Is(err, x.err) || (err == nil) != (x.err == nil) {
					t.Errorf("far: %d bytes, %+v, %v", d.Bytes, s, err)
				}
				if took := time.Since(began); took != x.took {
					t.Errorf("after %v", took)
				}
				if x.noted != tier.noted.Equal(time.UnixMilli(now)) || !x.noted && !tier.noted.IsZero() {
					t.Errorf("a hole was noted at %v", tier.noted)
				}
				if d.Release(); d.Bytes != 0 || d.Pieces != nil || d.Tier {
					t.Errorf("after its release: %+v", d)
				}
				d.Release()
			})
		})
	}
}

// Who appends to a journal that was sealed gets the error that the partition has another owner.
func TestAppendsToASealedJournal(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	b.w.Close()
	if r := produce(p, 1, -1, -1, -1); !errors.Is(r.err, ErrNotOwner) {
		t.Errorf("%+v", r)
	}
}
