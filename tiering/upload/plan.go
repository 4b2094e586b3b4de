package upload

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/object"
)

// partitionUpload is what a pass uploads of one partition. It is committed at once, when all
// of its parts are in the bucket.
type partitionUpload struct {
	source   Source
	parts    []*slicePart
	bytes    int64
	unfolded error // why its head couldn't take it
}

// slicePart is a run of batches that becomes one slice.
type slicePart struct {
	upload    *partitionUpload
	batches   []object.Batch
	bytes     int64
	at        int               // where in its object's buffer the batches are loaded
	producers []object.Producer // of the upload's last part; else nil
	aborted   []object.Aborted
	slice     schema.Slice // when it was built
	err       error        // why it couldn't be
}

// objectUpload is an object to be.
type objectUpload struct {
	parts []*slicePart
	bytes int64
	buf   []byte // takes the batches, and then the object
	from  int    // where in buf the batches begin
}

// candidate is a partition that has something to upload.
type candidate struct {
	source Source
	bytes  int64
	oldest int64
	from   int64 // the offset after what is being uploaded
	wanted bool  // by a flush
}

// plan decides what to upload now; nothing if nothing is due.
func (u *Uploader) plan(ctx context.Context) []objectUpload {
	found, bytes := u.candidates()
	now, hurry := u.deps.Clock(), u.deps.Hurry()
	var small, age int64
	for _, c := range found {
		age = max(age, now-c.oldest)
		if c.bytes < u.cfg.SegmentBytes && u.due(&c, now) {
			small += c.bytes
		}
	}
	u.waiting.Store(bytes)
	u.pace.set(u.waiting.Load(), hurry)
	u.arrived.look(time.Now(), bytes, u.cfg.MaxAge)
	u.behind.Store(hurry || max(u.arrived.bytes, float64(bytes)) > 4*float64(u.cfg.BundleBytes))
	bundle := small >= u.cfg.BundleBytes || age >= u.cfg.MaxAge.Milliseconds()
	// Even in a hurry tiny objects come at most once a second or so.
	hurry = hurry && (small >= u.cfg.BundleBytes/16 || age >= 1000)
	found = slices.DeleteFunc(found, func(c candidate) bool {
		return !c.wanted && !hurry && c.bytes < u.cfg.SegmentBytes && !(bundle && u.due(&c, now))
	})
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.oldest, b.oldest) })
	return u.pack(u.recall(ctx, found))
}

// recallAtOnce is how many partitions read the tier's memory of producers at a time.
const recallAtOnce = 32

// recall leaves those whose producers are known. After a change of owner that
// takes two small reads a partition; without them the next slice would forget which
// has not come back yet.
func (u *Uploader) recall(ctx context.Context, found []candidate) (known []candidate) {
	errs := make([]error, len(found))
	var g errgroup.Group
	g.SetLimit(recallAtOnce)
	for i := range found {
		g.Go(func() error {
			errs[i] = found[i].source.Recall(ctx)
			if errs[i] == nil && u.failed.by[found[i].source.Partition()] != nil {
				errs[i] = u.foldable(ctx, found[i].source)
			}
			return nil
		})
	}
	_ = g.Wait() // each has an error of its own
	for i, c := range found {
		if errs[i] == nil {
			known = append(known, c)
		} else {
			u.failed.leaveAlone(ctx, c.source.Partition(), c.bytes, errs[i])
		}
	}
	return known
}

// due keeps tiny partitions out of bundles until they are half as old as they may
// become, so that under load each one's head isn't written all the time.
func (u *Uploader) due(c *candidate, now int64) bool {
	return now-c.oldest >= u.cfg.MaxAge.Milliseconds()/2 || c.bytes >= u.cfg.BundleBytes/1024
}

// candidates lists what waits, without what is to be left alone for now.
// total is how many bytes wait in them, including those that are being uploaded.
func (u *Uploader) candidates() (found []candidate, total int64) {
	seen := map[id.Partition]bool{}
	for s := range u.deps.Sources() {
		bytes, oldest := s.PendingBytes()
		if bytes <= 0 {
			continue
		}
		p := s.Partition()
		if len(u.flushes.waiting)+len(u.failed.by) > 0 {
			seen[p] = true
		}
		if u.failed.pauses(p) {
			continue
		}
		total += bytes
		c := candidate{source: s, bytes: bytes, oldest: oldest, wanted: u.flushes.want(p)}
		if f, ok := u.flying[p]; ok {
			c.from, c.bytes, c.oldest = f.end, bytes-f.bytes, max(oldest, f.since)
			if c.bytes <= 0 || f.source != s {
				continue
			}
		}
		found = append(found, c)
	}
	u.flushes.keep(seen)
	u.failed.keep(seen)
	return found, total
}

// pack makes objects: big partitions get their own, the others share.
func (u *Uploader) pack(found []candidate) []objectUpload {
	left := u.passBytes()
	share := u.share(found)
	var uploads []objectUpload
	var bundle objectUpload
	for _, c := range found {
		if left <= 0 {
			break
		}
		t := u.take(&c, min(left, max(leastUpload, int64(share*float64(c.bytes)))))
		left -= t.bytes
		if len(t.parts) == 0 && c.from == 0 {
			u.flushes.took(c.source.Partition(), 0, true)
		}
		if t.bytes >= u.cfg.SegmentBytes {
			for _, p := range t.parts {
				uploads = append(uploads, objectUpload{parts: []*slicePart{p}, bytes: p.bytes})
			}
			continue
		}
		for _, p := range t.parts {
			if bundle.bytes+p.bytes > u.cfg.BundleBytes && bundle.bytes > 0 {
				uploads = append(uploads, bundle)
				bundle = objectUpload{}
			}
			bundle.parts = append(bundle.parts, p)
			bundle.bytes += p.bytes
		}
	}
	if len(bundle.parts) > 0 {
		uploads = append(uploads, bundle)
	}
	return uploads
}

// leastUpload is what a pass takes of a partition even if its share is less: slices
// should not become tiny.
const leastUpload = 256 << 10

// passBytes is how much a pass loads: half of the memory, since the next pass is
// loaded while one is uploaded.
func (u *Uploader) passBytes() int64 { return max(u.cfg.RoundBytes/2, u.cfg.ObjectBytes) }

// share is the part of each partition's bytes that a pass takes. The same part of
// all is about the same stretch of the journal, which is then read only once.
func (u *Uploader) share(found []candidate) float64 {
	var total int64
	for _, c := range found {
		total += c.bytes
	}
	return min(1, float64(u.passBytes())/float64(max(1, total)))
}

// take takes what waits in a partition, cut into parts of an object's size. A
// rest that would make a short last part waits for more.
func (u *Uploader) take(c *candidate, left int64) *partitionUpload {
	limit := min(c.bytes, left)
	if limit > u.cfg.ObjectBytes && !c.wanted {
		limit -= limit % u.cfg.ObjectBytes
	}
	run := c.source.Pending(c.from, limit)
	t := &partitionUpload{source: c.source}
	var now *slicePart
	for i := range run.Batches {
		size := int64(run.Batches[i].Size)
		if now == nil || now.bytes+size > u.cfg.ObjectBytes {
			now = &slicePart{upload: t, aborted: run.Aborted, batches: run.Batches[i:i]}
			t.parts = append(t.parts, now)
		}
		now.batches = now.batches[:len(now.batches)+1]
		now.bytes += size
		t.bytes += size
	}
	if now != nil {
		now.producers = run.Producers
		if now.producers == nil {
			now.producers = []object.Producer{}
		}
	}
	return t
}
