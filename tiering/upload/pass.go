package upload

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"varve/internal/id"
	"varve/metadata/schema"
)

// outcome is how the upload of a partition ended.
type outcome int

const (
	committed outcome = iota
	gone              // the partition isn't ours any more, or the data isn't needed
	unread            // the journal didn't give it, or the manifest can't be read
	stopped           // ctx ended; whether it was committed is not known
)

var outcomeNames = map[outcome]string{committed: "committed", gone: "not_owner", unread: "unread", stopped: "stopped"}

// uploadPass is one pass: objects are built and uploaded side by side, and each
// partition is committed as soon as all of its parts are in the bucket.
type uploadPass struct {
	u       *Uploader
	uploads []objectUpload
	done    chan struct{} // closed when all is over

	mu struct {
		sync.Mutex
		missing  map[*partitionUpload]int             // parts that are not in the bucket yet
		objects  map[*partitionUpload][]schema.Object // where its parts are
		open     map[schema.Object]int                // partition uploads that may still be committed in it
		outcomes map[*partitionUpload]outcome
	}
}

func newPass(u *Uploader, uploads []objectUpload) *uploadPass {
	r := &uploadPass{u: u, uploads: uploads, done: make(chan struct{})}
	r.mu.missing = map[*partitionUpload]int{}
	r.mu.objects = map[*partitionUpload][]schema.Object{}
	r.mu.open = map[schema.Object]int{}
	r.mu.outcomes = map[*partitionUpload]outcome{}
	return r
}

// drain uploads what is due and commits it, until nothing more is due. While one
// pass is uploaded, the next is loaded from the journal: both wait for disks.
func (u *Uploader) drain(ctx context.Context) {
	var now *uploadPass
	for {
		next := u.prepare(ctx)
		progress := now == nil || u.conclude(ctx, now)
		if next == nil && (now == nil || !progress) {
			return
		}
		if next != nil {
			next.leaveOut(now)
			u.start(ctx, next)
		}
		now = next
		u.acceptWaiting() // under load there may be no end of passes
	}
}

// prepare plans a pass and loads it; nil if nothing is due, or ctx ended.
func (u *Uploader) prepare(ctx context.Context) *uploadPass {
	if ctx.Err() != nil {
		return nil
	}
	uploads := u.plan(ctx)
	if len(uploads) == 0 || u.load(ctx, uploads) != nil {
		return nil
	}
	return newPass(u, uploads)
}

// leaveOut removes partitions whose upload in the previous pass was not committed: what
// was loaded would leave a gap.
func (r *uploadPass) leaveOut(before *uploadPass) {
	if before == nil {
		return
	}
	committedTo := map[id.Partition]bool{}
	for t, o := range before.mu.outcomes {
		committedTo[t.source.Partition()] = o == committed
	}
	for i := range r.uploads {
		t := &r.uploads[i]
		t.parts = slices.DeleteFunc(t.parts, func(p *slicePart) bool {
			ok, continues := committedTo[p.upload.source.Partition()]
			return continues && !ok
		})
	}
	r.uploads = slices.DeleteFunc(r.uploads, func(t objectUpload) bool { return len(t.parts) == 0 })
}

// flight is the part of a partition that is being uploaded.
type flight struct {
	source Source
	end    int64 // the next offset
	bytes  int64
	since  int64 // when it was planned, in ms since 1970
}

// start uploads a pass in the background.
func (u *Uploader) start(ctx context.Context, r *uploadPass) {
	now := u.deps.Clock()
	for _, t := range r.uploads {
		for _, p := range t.parts {
			r.mu.missing[p.upload]++
			last := p.batches[len(p.batches)-1]
			f := u.flying[p.upload.source.Partition()]
			u.flying[p.upload.source.Partition()] = flight{p.upload.source, max(f.end, last.End), p.upload.bytes, now}
		}
	}
	go func() {
		defer close(r.done)
		r.run(ctx, r.uploads)
	}()
}

func (r *uploadPass) run(ctx context.Context, uploads []objectUpload) {
	var objects, commits errgroup.Group // what they do has no error of its own
	objects.SetLimit(r.u.cfg.Concurrency)
	commits.SetLimit(r.u.cfg.Commits)
	var ready sync.WaitGroup
	for i := range uploads {
		objects.Go(func() error {
			object, err := r.u.upload(ctx, &uploads[i])
			ready.Go(func() { // the next object needn't wait until there is room for the commits
				for _, t := range r.arrived(&uploads[i], object, err) {
					commits.Go(func() error {
						r.ended(t, r.u.commit(ctx, t))
						return nil
					})
				}
			})
			return nil
		})
	}
	_ = objects.Wait()
	ready.Wait()
	_ = commits.Wait()
}

// arrived notes that an object is in the bucket, and returns the partitions that can be
// committed. A partition of which a part could not be read waits for the next pass; if ctx
// ended, all do.
func (r *uploadPass) arrived(t *objectUpload, object schema.Object, err error) (ready []*partitionUpload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	touched := map[*partitionUpload]bool{}
	for _, p := range t.parts {
		if !touched[p.upload] && object.Writer != 0 {
			r.mu.objects[p.upload] = append(r.mu.objects[p.upload], object)
			r.mu.open[object]++
			touched[p.upload] = true
		}
		if r.mu.missing[p.upload]--; r.mu.missing[p.upload] == 0 {
			ready = append(ready, p.upload)
		}
	}
	if err != nil {
		for _, p := range t.parts {
			p.err = err
		}
	}
	return ready
}

// ended notes the outcome of a partition's upload, and settles objects in which nothing is open.
func (r *uploadPass) ended(t *partitionUpload, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.outcomes[t] = o
	r.u.metrics.commits.WithLabelValues(outcomeNames[o]).Inc()
	if o == stopped {
		return
	}
	for _, object := range r.mu.objects[t] {
		if r.mu.open[object]--; r.mu.open[object] == 0 {
			r.u.deps.IDs.Settle(object)
		}
	}
}

// conclude waits for a pass and draws the consequences, in Run's goroutine. It reports
// whether anything was committed.
func (u *Uploader) conclude(ctx context.Context, r *uploadPass) bool {
	<-r.done
	clear(u.flying)
	progress := false
	for t, o := range r.mu.outcomes {
		p := t.source.Partition()
		switch o {
		case committed:
			progress = true
			u.failed.recovered(p)
			u.flushes.took(p, t.bytes, false)
			u.arrived.committed += t.bytes
		case gone:
			u.failed.recovered(p)
			u.flushes.took(p, 0, true)
		case unread:
			u.failed.leaveAlone(ctx, p, t.bytes, t.err())
		}
	}
	if progress {
		u.succeeded.Store(time.Now().UnixMilli())
		u.deps.OnCommitted()
	}
	u.flushes.finish()
	return progress
}

// err is why an upload can't be committed, if it can't.
func (t *partitionUpload) err() error {
	errs := []error{t.unfolded}
	for _, p := range t.parts {
		errs = append(errs, p.err)
	}
	return errors.Join(errs...)
}
