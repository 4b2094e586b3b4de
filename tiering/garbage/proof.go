package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/manifest"
	"varve/tiering/object"
)

// verdict is what is to be done with an object, and why.
type verdict int

const (
	keepDoubt   verdict = iota // something is not known, or not as it should be
	keepForeign                // not of Varve
	keepYoung
	keepNamed // a head or manifest refers to it
	keepOpen  // its writer may still commit it
	remove
)

var verdictNames = map[verdict]string{keepDoubt: "doubt", keepForeign: "foreign", keepYoung: "young", keepNamed: "named", keepOpen: "open", remove: "remove"}

// newProof proves what may go. What it knows of heads it has read itself, after it
// asked for the writers' floors, and after the objects that it judges were found.
type proof struct {
	c       *Collector
	floors  map[id.Incarnation]uint64
	heads   map[id.Partition]*schema.Head // nil: there is none
	deleted map[id.Topic]deletedTopic
}

type deletedTopic struct {
	schema.DeletedTopic
	mod  metadata.Revision
	over bool // the undelete window, or someone found it so and began
}

// maxProofHeads bounds the heads that a proof remembers.
const maxProofHeads = 1 << 14

func (c *Collector) newProof(ctx context.Context) (*proof, error) {
	pr := &proof{c: c, floors: map[id.Incarnation]uint64{}, heads: map[id.Partition]*schema.Head{}, deleted: map[id.Topic]deletedTopic{}}
	kvs, _, err := c.deps.Meta.List(ctx, schema.PrefixDeleted)
	if err != nil {
		return nil, fmt.Errorf("list deleted topics: %w", err)
	}
	for _, kv := range kvs {
		d, err := schema.DecodeDeletedTopic(kv.Value)
		if err != nil {
			c.doubt(kv.Key, kv.Mod, err) // what is there of this topic stays
			continue
		}
		pr.deleted[d.Topic.ID] = deletedTopic{d, kv.Mod, d.Purged || time.Since(d.Deleted) >= c.cfg.UndeleteWindow}
	}
	return pr, nil
}

// object judges an object with slices; f is its footer where that could be read.
func (pr *proof) object(ctx context.Context, o schema.Object, found s3store.Object) (v verdict, f *object.Footer, err error) {
	f, err = object.ReadFooter(ctx, pr.c.deps.Store, found.Key, found.Size)
	if errors.Is(err, s3store.ErrNotFound) {
		pr.c.damaged.fine(found.Key)
		return keepDoubt, nil, nil // another collector was here
	}
	var corrupt *object.CorruptError
	if errors.As(err, &corrupt) {
		pr.c.noteDamage(found.Key, "an object is damaged", err)
		return keepDoubt, nil, nil
	}
	if err != nil {
		return keepDoubt, nil, err
	}
	if f.Object != o {
		pr.c.noteDamage(found.Key, fmt.Sprintf("an object lies under another's key: it is %v", f.Object), nil)
		return keepDoubt, f, nil
	}
	pr.c.damaged.fine(found.Key)
	for i := range f.Slices {
		s := &f.Slices[i]
		v, err := pr.part(ctx, s.Partition, o, func(h *schema.Head) (bool, error) { return pr.namesSlice(ctx, h, s) })
		if v != remove || err != nil {
			return v, f, err
		}
	}
	return remove, f, nil
}

// page judges a page of a manifest.
func (pr *proof) page(ctx context.Context, o schema.Object, found s3store.Object) (verdict, *manifest.Page, error) {
	if found.Size > object.MaxSealedBytes {
		return keepDoubt, nil, nil
	}
	b, err := object.ReadRange(ctx, pr.c.deps.Store, found.Key, 0, found.Size)
	if errors.Is(err, s3store.ErrNotFound) {
		return keepDoubt, nil, nil
	}
	if err != nil {
		return keepDoubt, nil, err
	}
	g, err := manifest.DecodePage(b)
	if err != nil {
		pr.c.noteDamage(found.Key, "a manifest page is damaged", err)
		return keepDoubt, nil, nil
	}
	pr.c.damaged.fine(found.Key)
	v, err := pr.part(ctx, g.Partition, o, func(h *schema.Head) (bool, error) { return pr.namesPage(ctx, h, g, o) })
	return v, g, err
}

// part judges what an object holds of one partition.
func (pr *proof) part(ctx context.Context, p id.Partition, o schema.Object, named func(*schema.Head) (bool, error)) (verdict, error) {
	floor := pr.floor(o.Writer) // before the head is read: what is settled by then shows in it
	h, err := pr.head(ctx, p)
	if errors.Is(err, errUndecodable) {
		return keepDoubt, nil
	}
	if err != nil {
		return keepDoubt, err
	}
	if h == nil {
		if d, known := pr.deleted[p.Topic]; known && d.over {
			return remove, nil
		}
		return keepDoubt, nil
	}
	is, err := named(h)
	var corrupt *object.CorruptError
	switch {
	case errors.As(err, &corrupt) || errors.Is(err, object.ErrGone):
		pr.c.noteDamage(manifestName(p), "a manifest can't be read, so what it might name stays", err)
		return keepDoubt, nil
	case err != nil:
		return keepDoubt, err
	}
	pr.c.damaged.fine(manifestName(p))
	switch {
	case is:
		return keepNamed, nil
	case h.Owner == o.Writer && o.Seq >= floor:
		return keepOpen, nil
	}
	return remove, nil
}

// manifestName names a partition's manifest where keys of objects are remembered.
func manifestName(p id.Partition) string { return "manifest of partition " + p.String() }

func (pr *proof) floor(w id.Incarnation) uint64 {
	floor, known := pr.floors[w]
	if !known {
		// What is settled by now need not show in heads that were read before.
		clear(pr.heads)
		floor = pr.c.deps.Floor(w)
		pr.floors[w] = floor
	}
	return floor
}

// errUndecodable: a head is not what it should be, so that no one knows what it names.
var errUndecodable = errors.New("it can't be decoded")

// doubt logs, once for each state of it, that a key of the metadata store isn't what
// it should be.
func (c *Collector) doubt(key string, mod metadata.Revision, err error) {
	if c.doubted[key] == mod {
		return
	}
	if len(c.doubted) >= maxDoubted {
		clear(c.doubted)
	}
	c.doubted[key] = mod
	c.deps.Log.Error("a key can't be decoded, so nothing of what it is about is collected", "key", key, "err", err)
}

// maxDoubted bounds the keys that are remembered as said.
const maxDoubted = 1 << 10

func (pr *proof) head(ctx context.Context, p id.Partition) (*schema.Head, error) {
	if h, known := pr.heads[p]; known {
		return h, nil
	}
	stored, err := schema.GetHead(ctx, pr.c.deps.Meta, p)
	h := stored.Head
	var undecodable *schema.ValueError
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		h, err = nil, nil
	case errors.As(err, &undecodable):
		pr.c.doubt(schema.HeadKey(p), stored.Rev(), err)
		err = fmt.Errorf("%w: %w", errUndecodable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("head of %v: %w", p, err)
	}
	if len(pr.heads) >= maxProofHeads {
		clear(pr.heads)
	}
	pr.heads[p] = h
	return h, nil
}

// namesSlice reports whether a head or its manifest refers to a slice that can still
// be read, or that is the newest.
func (pr *proof) namesSlice(ctx context.Context, h *schema.Head, s *object.FooterSlice) (bool, error) {
	same := func(o schema.Slice) bool { return o.Object == s.Object && o.IndexAt == s.IndexAt }
	if n := len(h.Slices); n > 0 && same(h.Slices[n-1]) {
		return true, nil
	}
	if s.End <= h.LogStart {
		return false, nil
	}
	if slices.ContainsFunc(h.Slices, same) {
		return true, nil
	}
	if m := &h.Manifest; m.Slices == 0 || s.Base >= m.End || s.End <= m.Base {
		return false, nil
	}
	leaf, err := manifest.Leaf(ctx, pr.c.deps.Pages, s.Partition, &h.Manifest, max(s.Base, h.Manifest.Base))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(leaf.Slices, same), nil
}

// namesPage reports whether a head's manifest refers to a page.
func (pr *proof) namesPage(ctx context.Context, h *schema.Head, g *manifest.Page, o schema.Object) (bool, error) {
	base, _ := g.Bounds(0)
	if h.Manifest.Slices == 0 || base >= h.Manifest.End {
		return false, nil
	}
	at := h.Manifest.Root
	for at.Object != o {
		above, err := pr.c.deps.Pages.Page(ctx, g.Partition, at)
		if err != nil {
			return false, err
		}
		if above.Level <= g.Level {
			return false, nil
		}
		i := sort.Search(len(above.Children), func(i int) bool { return above.Children[i].End > base })
		if i == len(above.Children) {
			return false, nil
		}
		at = above.Children[i].Page
	}
	return true, nil
}
