package manifest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/metadata/schema"
)

// memoryPages keeps pages as the bucket does: encoded.
type memoryPages struct {
	t      testing.TB
	mu     sync.Mutex
	pages  map[schema.Page][]byte
	loads  int
	stores int
	bytes  int
}

func (m *memoryPages) Page(_ context.Context, _ id.Partition, at schema.Page) (*Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	g, err := DecodePage(m.pages[at])
	if err != nil {
		m.t.Fatal(err)
	}
	return g, nil
}

func (m *memoryPages) storePage(_ context.Context, p *Page) (schema.Page, error) {
	b := p.encode()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores++
	m.bytes += len(b)
	at := schema.Page{Object: schema.Object{Writer: 1, Seq: schema.FirstTimed + uint64(m.stores)}, Len: int32(len(b))}
	m.pages[at] = b
	return at, nil
}

func (m *memoryPages) all(root schema.Page) (list []schema.Slice) {
	g, _ := m.Page(context.Background(), id.Partition{}, root)
	for i := range g.Children {
		list = append(list, m.all(g.Children[i].Page)...)
	}
	return append(list, g.Slices...)
}

// However slices are folded and trimmed, the tree holds what a plain list would.
func TestTreeAgainstList(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := newRand(seed)
			io := &memoryPages{t: t, pages: map[schema.Page][]byte{}}
			tr := newTree(io, id.Partition{}, "t")
			var m schema.Manifest
			var want []schema.Slice
			next := int64(0)
			for range 60 {
				var err error
				if rng.IntN(4) > 0 {
					add := someSlices(next, []int{1, 48, 700, 5000}[rng.IntN(4)])
					next = add[len(add)-1].End
					want = append(want, add...)
					m, err = tr.fold(t.Context(), m, add)
				} else if len(want) > 0 {
					to := want[rng.IntN(len(want))].Base + rng.Int64N(11)
					want = slices.DeleteFunc(want, func(s schema.Slice) bool { return s.End <= to })
					m, err = tr.trim(t.Context(), m, to)
				}
				if err != nil {
					t.Fatal(err)
				}
				checkManifest(t, io, m, want)
			}
		})
	}
}

func checkManifest(t *testing.T, io *memoryPages, m schema.Manifest, want []schema.Slice) {
	t.Helper()
	if len(want) == 0 {
		if m != (schema.Manifest{}) {
			t.Fatalf("manifest of nothing is %+v", m)
		}
		return
	}
	if m.Slices != int64(len(want)) || m.Bytes != 100*int64(len(want)) || m.Base != want[0].Base || m.End != want[len(want)-1].End {
		t.Fatalf("manifest %+v, want %d slices from %d", m, len(want), want[0].Base)
	}
	if got := io.all(m.Root); !slices.Equal(got, want) {
		t.Fatalf("tree has %d slices, want %d", len(got), len(want))
	}
}

// Deep trees stay right when they are cut down to little: levels are consistent.
func TestDeepTree(t *testing.T) {
	io := &memoryPages{t: t, pages: map[schema.Page][]byte{}}
	tr := newTree(io, id.Partition{}, "")
	n := PageEntries*PageEntries + 3*PageEntries
	all := someSlices(0, n)
	m, err := tr.fold(t.Context(), schema.Manifest{}, all)
	if err != nil {
		t.Fatal(err)
	}
	if g, _ := io.Page(t.Context(), id.Partition{}, m.Root); g.Level != 2 {
		t.Fatalf("root has level %d", g.Level)
	}
	m, err = tr.trim(t.Context(), m, all[PageEntries*PageEntries-5].Base)
	if err != nil {
		t.Fatal(err)
	}
	more := someSlices(all[n-1].End, 100)
	if m, err = tr.fold(t.Context(), m, more); err != nil {
		t.Fatal(err)
	}
	checkManifest(t, io, m, append(slices.Clone(all[PageEntries*PageEntries-5:]), more...))
}
