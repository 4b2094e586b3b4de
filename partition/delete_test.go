package partition

import (
	"context"
	"errors"
	"testing"

	"varve/metadata/schema"
	"varve/tiering/manifest"
)

// starts moves log starts in heads.
type starts struct{ moved int }

func (s *starts) DeleteTo(ctx context.Context, p manifest.Owned, offset int64) error {
	s.moved++
	return p.UpdateHead(ctx, func(h *schema.Head) error { h.LogStart = offset; return nil })
}

func TestDeleteTo(t *testing.T) {
	b := newBench(t)
	s := new(starts)
	b.deps.Starts = s
	p := b.take(settings())
	for seq := range int32(4) {
		if r := produce(p, 5, 1, 0, 5*seq); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for _, x := range []struct {
		to, start int64
		err       error
		moved     int
	}{
		{7, 7, nil, 1}, {7, 7, nil, 1}, {3, 7, nil, 1}, // it never goes back
		{21, -1, ErrOutOfRange, 1}, {-2, -1, ErrOutOfRange, 1},
		{ToHigh, 20, nil, 2}, {20, 20, nil, 2},
	} {
		if start, err := p.DeleteTo(t.Context(), x.to); start != x.start || !errors.Is(err, x.err) || s.moved != x.moved {
			t.Errorf("to %d: starts at %d, %v, moved %d times", x.to, start, err, s.moved)
		}
	}
}
