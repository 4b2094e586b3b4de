package partition

import (
	"errors"
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/tiering/manifest"
	"varve/wal"
)

// What lost its head is not offered to the tier again and again; its records stay where
// they are, since the loss of a head proves nothing about them (promise 8).
func TestLostHeadIsNotUploaded(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	if r := produce(p, 1, -1, -1, -1); r.err != nil {
		t.Fatal(r.err)
	}
	if n, oldest := p.PendingBytes(); n == 0 || oldest == 0 {
		t.Fatalf("%d bytes wait since %d", n, oldest)
	}
	if _, err := b.meta.Txn(t.Context(), nil, metadata.Delete(schema.HeadKey(part)), metadata.Delete(schema.OwnerKey(part))); err != nil {
		t.Fatal(err)
	}
	err := p.UpdateHead(t.Context(), func(h *schema.Head) error { h.TieredEnd = 1; return nil })
	if !errors.Is(err, manifest.ErrNotOwner) {
		t.Fatal(err)
	}
	if n, oldest := p.PendingBytes(); n != 0 || oldest != 0 {
		t.Errorf("%d bytes wait since %d", n, oldest)
	}
	needed := 0
	p.Needs(func(id.Journal, wal.Pos) { needed++ })
	if needed != 1 {
		t.Errorf("%d journals are needed", needed)
	}
}
