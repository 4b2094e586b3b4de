package manifest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"varve/internal/id"
	"varve/metadata/schema"
)

// headOnly is a partition that is only a head.
type headOnly struct {
	mu   sync.Mutex
	head *schema.Head
	lost bool
	// before is called before a change is applied, without the lock.
	before func()
}

func (o *headOnly) Partition() id.Partition { return id.Partition{Topic: id.Topic{1}} }

func (o *headOnly) Head() *schema.Head {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head
}

func (o *headOnly) UpdateHead(_ context.Context, change func(*schema.Head) error) error {
	if f := o.before; f != nil {
		o.before = nil
		f()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h := *o.head
	if err := change(&h); err != nil {
		return err
	}
	if o.lost {
		return ErrNotOwner
	}
	o.head = &h
	return nil
}

// editing is a partition with pages in memory.
type editing struct {
	*headOnly
	t     testing.TB
	pages *memoryPages
	made  int64
}

func newEditing(t testing.TB, slices int) *editing {
	e := &editing{headOnly: &headOnly{head: &schema.Head{}}, t: t, pages: &memoryPages{t: t, pages: map[schema.Page][]byte{}}}
	if slices > 0 {
		e.must(e.upload(slices))
	}
	return e
}

func (e *editing) commit(edit *Edit) error {
	_, _, err := edit.Commit(e.t.Context(), e, e.pages, "t")
	return err
}

func (e *editing) must(edit *Edit) {
	e.t.Helper()
	if err := e.commit(edit); err != nil {
		e.t.Fatal(err)
	}
}

// upload adds slices to the end.
func (e *editing) upload(n int) *Edit {
	end := e.Head().TieredEnd
	return &Edit{From: end, To: end, Now: someSlices(end, n)}
}

// rewrite replaces slices by one.
func (e *editing) rewrite(was []schema.Slice) *Edit {
	e.made++
	first, last := was[0], was[len(was)-1]
	now := schema.Slice{Object: schema.Object{Writer: 4, Seq: schema.FirstTimed + uint64(e.made)}, Base: first.Base, End: last.End, MinTime: first.MinTime, MaxTime: last.MaxTime,
		MinEpoch: first.MinEpoch, MaxEpoch: last.MaxEpoch, Bytes: 90 * int64(len(was)), IndexAt: 1, IndexLen: 1}
	return &Edit{From: now.Base, To: now.End, Was: slices.Clone(was), Now: []schema.Slice{now}}
}

// listed is all that the head and its manifest name, in order.
func (e *editing) listed() []schema.Slice {
	h := e.Head()
	var all []schema.Slice
	if h.Manifest.Slices > 0 {
		all = e.pages.all(h.Manifest.Root)
	}
	return append(all, h.Slices...)
}

// readable is what of a list is above a log start.
func readable(list []schema.Slice, start int64) (some []schema.Slice) {
	for _, s := range list {
		if s.End > start {
			some = append(some, s)
		}
	}
	return some
}

// check compares the partition with a list of slices that can be read.
func (e *editing) check(want []schema.Slice) {
	e.t.Helper()
	h, got := e.Head(), readable(e.listed(), e.Head().LogStart)
	if !slices.Equal(got, want) {
		e.t.Fatalf("%d slices can be read, want %d", len(got), len(want))
	}
	var bytes int64
	for _, s := range want {
		bytes += s.Bytes
	}
	if n := len(want); n > 0 && h.TieredEnd != want[n-1].End || len(h.Slices) > schema.MaxHeadSlices || h.TieredBytes() != bytes {
		e.t.Fatalf("the tier ends at %d with %d bytes, want %d; the head has %d slices", h.TieredEnd, h.TieredBytes(), bytes, len(h.Slices))
	}
	if m := h.Manifest; m.Slices > 0 && len(h.Slices) > 0 && m.End != h.Slices[0].Base {
		e.t.Fatalf("the manifest ends at %d, the head begins at %d", m.End, h.Slices[0].Base)
	}
}

// An upload between the beginning of a slow edit and its commit keeps both, wherever the
// range is and whatever the upload folds.
func TestSlowEditKeepsUploads(t *testing.T) {
	for name, c := range map[string]struct{ slices, from, to, uploads int }{
		"in the head":              {40, 10, 20, 3},
		"in the head, then folded": {60, 10, 20, 30},
		"in the manifest":          {300, 10, 200, 3},
		"the manifest folds":       {300, 10, 200, 60},
		"of both":                  {300, 270, 290, 1},
		"all of it":                {300, 0, 300, 1},
		"a page and more":          {3 * PageEntries, 100, 2 * PageEntries, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEditing(t, c.slices)
			was := e.listed()
			slow := e.rewrite(was[c.from:c.to])
			e.must(e.upload(c.uploads))
			added := e.listed()[c.slices:]
			e.before = func() { e.must(e.upload(1)) } // and again while it is applied
			e.must(slow)
			added = append(added, e.listed()[len(e.listed())-1])
			e.check(slices.Concat(was[:c.from], slow.Now, was[c.to:], added))
		})
	}
}

// An edit of a range that retention took a part of, or that another edit replaced, is refused,
// and changes nothing.
func TestEditOfAChangedRange(t *testing.T) {
	for name, change := range map[string]func(e *editing, was []schema.Slice) *Edit{
		"retention took a part": func(_ *editing, was []schema.Slice) *Edit { return &Edit{Start: was[2].End, Trim: 1} },
		"retention took all":    func(_ *editing, was []schema.Slice) *Edit { return &Edit{Start: was[4].End, Trim: 1} },
		"a slice was replaced":  func(e *editing, was []schema.Slice) *Edit { return e.rewrite(was[3:4]) },
		"it was replaced":       func(e *editing, was []schema.Slice) *Edit { return e.rewrite(was) },
	} {
		for _, slices := range []int{10, 300} { // in the head and in the manifest
			t.Run(fmt.Sprint(name, " ", slices), func(t *testing.T) {
				e := newEditing(t, slices)
				was := e.listed()[:5]
				slow := e.rewrite(was)
				e.must(change(e, was))
				want := readable(e.listed(), e.Head().LogStart)
				if err := e.commit(slow); !errors.Is(err, ErrChanged) {
					t.Errorf("it ends with %v", err)
				}
				e.check(want)
			})
		}
	}
}

// What would leave a gap, or doesn't begin where the tier ends, is refused.
func TestEditThatDoesNotFit(t *testing.T) {
	e := newEditing(t, 100)
	all := e.listed()
	short := e.rewrite(all[3:6])
	short.Now[0].End--
	for name, c := range map[string]struct {
		edit *Edit
		want error
	}{
		"too short":           {short, errGap},
		"nothing in place":    {&Edit{From: all[3].Base, To: all[3].End, Was: all[3:4]}, errGap},
		"beyond the end":      {&Edit{From: 1010, To: 1010, Now: someSlices(1010, 1)}, ErrElsewhere},
		"before the end":      {&Edit{From: 990, To: 990, Now: someSlices(990, 1)}, ErrElsewhere},
		"of what isn't there": {&Edit{From: 1000, To: 1010, Was: someSlices(1000, 1), Now: someSlices(1000, 1)}, ErrChanged},
	} {
		if err := e.commit(c.edit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.check(all)
}

// An old owner's edit is refused, as every write of its is.
func TestEditOfAnOldOwner(t *testing.T) {
	e := newEditing(t, 10)
	all := e.listed()
	e.lost = true
	if err := e.commit(e.rewrite(all[2:4])); !errors.Is(err, ErrNotOwner) {
		t.Errorf("it ends with %v", err)
	}
	e.check(all)
}

// In whatever order edits begin and are committed, the partition is what a plain list would be.
func TestEditsAgainstList(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { editsAgainstList(newEditing(t, 0), newRand(seed)) })
	}
}

func editsAgainstList(e *editing, rng *rand.Rand) {
	var want []schema.Slice // what can be read
	var slow []*Edit
	refused, rewritten := 0, 0
	for range 150 {
		switch rng.IntN(6) {
		case 0, 1:
			up := e.upload([]int{1, 1, 1, 20, 20, 100, 100, 1500}[rng.IntN(8)])
			e.must(up)
			want = append(want, up.Now...)
		case 2, 3:
			if n := len(want); n > 0 {
				from := rng.IntN(n)
				slow = append(slow, e.rewrite(want[from:from+1+rng.IntN(min(n-from, []int{3, 100, 2000}[rng.IntN(3)]))]))
			}
		case 4:
			if n := len(want); n > 0 && rng.IntN(3) == 0 {
				s := want[rng.IntN(1+n/4)]
				start := s.Base + rng.Int64N(s.End-s.Base+1)
				e.must(&Edit{Start: start, Trim: int64(rng.IntN(3) * 50)})
				want = readable(want, start)
			}
		case 5:
			if len(slow) == 0 {
				continue
			}
			i := rng.IntN(len(slow))
			edit := slow[i]
			slow = slices.Delete(slow, i, i+1)
			listed := e.listed()
			at := slices.IndexFunc(listed, func(s schema.Slice) bool { return s == edit.Was[0] })
			same := at >= 0 && at+len(edit.Was) <= len(listed) && slices.Equal(listed[at:at+len(edit.Was)], edit.Was)
			err := e.commit(edit)
			if same != (err == nil) || err != nil && !errors.Is(err, ErrChanged) {
				e.t.Fatalf("the range is still there: %v, and the edit ends with %v", same, err)
			}
			if refused++; same {
				refused--
				rewritten++
				want = readable(slices.Concat(listed[:at], edit.Now, listed[at+len(edit.Was):]), e.Head().LogStart)
			}
		}
		e.check(want)
	}
	if refused == 0 || rewritten == 0 {
		e.t.Errorf("%d edits were refused, %d committed", refused, rewritten)
	}
}

// Uploads, rewrites and retention of one partition at the same time lose nothing.
func TestEditsAtOnce(t *testing.T) {
	e := newEditing(t, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 300 {
			if err := e.commit(e.upload(1)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		rng := newRand(1)
		for range 100 {
			list := readable(e.listed(), e.Head().LogStart)
			from := rng.IntN(len(list) - 1)
			if err := e.commit(e.rewrite(list[from : from+2])); err != nil && !errors.Is(err, ErrChanged) {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := range int64(40) {
			if err := e.commit(&Edit{Start: 10 * i, Trim: 10}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	h, end := e.Head(), int64(0)
	for i, s := range readable(e.listed(), h.LogStart) {
		if i > 0 && s.Base != end || i == 0 && s.Base > h.LogStart {
			t.Fatalf("slice at %d after %d", s.Base, end)
		}
		end = s.End
	}
	if h.TieredEnd != 4000 || end != 4000 || h.LogStart != 390 {
		t.Errorf("%d to %d, slices up to %d", h.LogStart, h.TieredEnd, end)
	}
}
