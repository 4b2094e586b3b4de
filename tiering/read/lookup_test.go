package read

import (
	"testing"

	"varve/internal/id"
	"varve/metadata"
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
	w.Faults = func(c s3store.Call) s3store.Fault {
		if c.Op == s3store.OpGet {
			gets++
			bytes += c.Length
		}
		return s3store.Fault{}
	}
	p := id.Partition{Topic: id.Topic{1}}
	d := w.PageWriter(w.reader)
	tr := manifest.NewTree(d, p, "")
	all := tiertest.Slices(0, 100_000)
	m, err := tr.Fold(t.Context(), metadata.Manifest{}, all)
	if err != nil {
		t.Fatal(err)
	}
	h := &metadata.Head{Manifest: m, TieredEnd: m.End}
	rng := tiertest.Rand(1)
	for range 200 {
		cold := New(w.Store, testConfig().reader, nil)
		gets, bytes = 0, 0
		i := rng.IntN(len(all))
		run, err := manifest.Locate(t.Context(), cold, h, p, all[i].Base+rng.Int64N(10))
		if err != nil || run[0] != all[i] {
			t.Fatalf("slice %d: found %v: %v", i, run[0], err)
		}
		if gets > 2 || bytes > 100<<10 {
			t.Fatalf("a look-up took %d GETs and %d bytes", gets, bytes)
		}
		cold.Close()
	}
	before := len(w.ObjectsIn(object.PrefixPages))
	if _, err := tr.Fold(t.Context(), m, tiertest.Slices(m.End, 48)); err != nil {
		t.Fatal(err)
	}
	if n := len(w.ObjectsIn(object.PrefixPages)) - before; n > 2 {
		t.Errorf("a fold wrote %d pages", n)
	}
}
