package read

import (
	"testing"

	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/tiertest"
)

// A look-up costs at most two GETs however long the history, a fold two PUTs, and
// both bounded bytes (promise 7).
func TestLookupCost(t *testing.T) {
	w := newWorld(t, testConfig())
	gets, bytes := 0, int64(0)
	w.Inject(func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets++
			bytes += c.Length
		}
		return s3store.Fault{}
	})
	s := w.Source(1, 0)
	all := tiertest.Slices(0, 100_000)
	add := func(list []schema.Slice) {
		e := manifest.Edit{From: list[0].Base, To: list[0].Base, Now: list}
		if _, _, err := e.Commit(t.Context(), s, w.PageWriter(w.reader), "t"); err != nil {
			t.Fatal(err)
		}
	}
	add(all)
	h := s.Head()
	rng := tiertest.Rand(1)
	for range 200 {
		cold := New(w.Store, testConfig().reader, nil)
		gets, bytes = 0, 0
		i := rng.IntN(len(all))
		run, err := manifest.Locate(t.Context(), cold, h, s.ID, all[i].Base+rng.Int64N(10))
		if err != nil || run[0] != all[i] {
			t.Fatalf("slice %d: found %v: %v", i, run[0], err)
		}
		if gets > 2 || bytes > 100<<10 {
			t.Fatalf("a look-up took %d GETs and %d bytes", gets, bytes)
		}
		cold.Close()
	}
	before := len(w.ObjectsIn(object.PrefixPages))
	add(tiertest.Slices(h.TieredEnd, schema.MaxHeadSlices))
	if n := len(w.ObjectsIn(object.PrefixPages)) - before; n > 2 {
		t.Errorf("a fold wrote %d pages", n)
	}
}
