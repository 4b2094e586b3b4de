package upload

import (
	"context"
	"errors"
	"sync"
	"time"

	"varve/metadata"
)

// outcome is how the upload of a partition ended.
type outcome int

const (
	committed outcome = iota
	gone              // the partition isn't ours any more, or the data isn't wanted
	unread            // the journal didn't give it, or the manifest can't be read
	stopped           // ctx ended; whether it was committed is not known
)

var outcomeNames = map[outcome]string{committed: "committed", gone: "not_owner", unread: "unread", stopped: "stopped"}

// pass is one pass: objects are built and uploaded side by side, and each
// partition is committed as soon as all of its parts are in the bucket.
type uploadPass struct {
	u  *Uploader
	wg sync.WaitGroup

	mu struct {
		sync.Mutex
		missing  map[*partitionUpload]int               // parts that are not in the bucket yet
		objects  map[*partitionUpload][]metadata.Object // where its parts are
		open     map[metadata.Object]int                // partition uploads that may still be committed in it
		outcomes map[*partitionUpload]outcome
	}
}

// pass uploads what is due and commits it. It says whether there may be more.
func (u *Uploader) pass(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	uploads := u.plan(ctx)
	if len(uploads) == 0 {
		return false
	}
	r := &uploadPass{u: u}
	r.mu.missing = map[*partitionUpload]int{}
	r.mu.objects = map[*partitionUpload][]metadata.Object{}
	r.mu.open = map[metadata.Object]int{}
	r.mu.outcomes = map[*partitionUpload]outcome{}
	for _, t := range uploads {
		for _, p := range t.parts {
			r.mu.missing[p.upload]++
		}
	}
	if err := u.load(ctx, uploads); err == nil {
		r.run(ctx, uploads)
	}
	return u.conclude(ctx, r.mu.outcomes)
}

func (r *uploadPass) run(ctx context.Context, uploads []objectUpload) {
	slots := make(chan struct{}, r.u.cfg.Concurrency)
	commits := make(chan struct{}, r.u.cfg.Commits)
	for i := range uploads {
		slots <- struct{}{}
		r.wg.Go(func() {
			object, err := r.u.upload(ctx, &uploads[i])
			<-slots
			for _, t := range r.arrived(&uploads[i], object, err) {
				commits <- struct{}{}
				r.wg.Go(func() {
					r.ended(t, r.u.commit(ctx, t))
					<-commits
				})
			}
		})
	}
	r.wg.Wait()
}

// arrived notes that an object is in the bucket, and returns the partitions that can be
// committed. A partition of which a part could not be read waits for the next pass; if ctx
// ended, all do.
func (r *uploadPass) arrived(t *objectUpload, object metadata.Object, err error) (ready []*partitionUpload) {
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

// conclude draws the consequences of a pass, in Run's goroutine.
func (u *Uploader) conclude(ctx context.Context, outcomes map[*partitionUpload]outcome) bool {
	progress := false
	for t, o := range outcomes {
		p := t.source.Partition()
		switch o {
		case committed:
			progress = true
			u.recovered(p)
			u.flushed(p, t.bytes, false)
		case gone:
			u.recovered(p)
			u.flushed(p, 0, true)
		case unread:
			u.leaveAlone(ctx, p, t.bytes, t.err())
		}
	}
	if progress {
		u.succeeded.Store(time.Now().UnixMilli())
		u.deps.OnCommitted()
	}
	u.finish()
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
