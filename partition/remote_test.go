package partition

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/wal"
)

// places is where a partition's journals lie: reads of some fail, or take a while.
type places struct {
	failed map[id.Journal]error
	takes  map[id.Journal]time.Duration
}

func (f *places) View(id.Journal, wal.Pos, int) (v wal.View, ok bool) { return v, false }
func (f *places) Floor(id.Journal) wal.Pos                            { return 0 }
func (f *places) ReadAt(j id.Journal, _ []byte, _ wal.Pos) error {
	time.Sleep(f.takes[j])
	return f.failed[j]
}

// TestTailOverPeers: a read that begins here asks no peer, one that begins at a peer goes
// on for a while; what was read before something fails is given.
func TestTailOverPeers(t *testing.T) {
	here, there := id.Journal{Writer: 1, Seq: 1}, id.Journal{Writer: 2, Seq: 1}
	const size = 100
	for name, x := range map[string]struct {
		order  [2]id.Journal
		takes  time.Duration // of what is there
		failed id.Journal
		want   int // batches of 8, four of each journal
	}{
		"here, then there":         {order: [2]id.Journal{here, there}, want: 4},
		"there, then here":         {order: [2]id.Journal{there, here}, want: 8},
		"slowly there":             {order: [2]id.Journal{there, there}, takes: 400 * time.Millisecond, want: 3},
		"there, and fails here":    {order: [2]id.Journal{there, here}, failed: here, want: 4},
		"fails there":              {order: [2]id.Journal{there, here}, failed: there},
		"fails here":               {order: [2]id.Journal{here, there}, failed: here},
		"here only":                {order: [2]id.Journal{here, here}, want: 8},
		"too slow for more than 1": {order: [2]id.Journal{there, here}, takes: 2 * time.Second, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := errors.New("broken")
				f := &places{failed: map[id.Journal]error{x.failed: broken}, takes: map[id.Journal]time.Duration{there: x.takes}}
				p := New(&Deps{Local: f, Clock: func() int64 { return 0 }, Remote: func(j id.Journal) bool { return j == there }}, schema.StoredHead{Partition: part, Head: new(schema.Head)}, settings())
				for i := range int64(8) {
					rec := &wal.Record{Partition: part, Base: i, Size: size, ProducerID: -1}
					if err := p.Adopt(x.order[i/4], rec, wal.Pos(1000*i)); err != nil { // not adjoining
						t.Fatal(err)
					}
				}
				p.Serve()
				r := Reading{Offset: 8, Limit: 1 << 20, Always: true, Epoch: id.NoEpoch}
				if _, at, _, _ := p.ReadNear(r); at != Near {
					t.Errorf("the end of the log lies at %v", at)
				}
				r.Offset = 0
				began := time.Now()
				d, at, _, err := p.ReadNear(r)
				if (at == AtPeers) != (x.order[0] == there) || time.Since(began) != 0 {
					t.Errorf("the records lie at %v, after %v", at, time.Since(began))
				}
				if at != Near {
					d, _, err = p.ReadFar(t.Context(), at, r)
				}
				if d.Bytes != x.want*size || (x.want == 0) != errors.Is(err, broken) {
					t.Errorf("%d bytes, %v", d.Bytes, err)
				}
			})
		})
	}
}
