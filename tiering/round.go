package tiering

import (
	"context"
	"errors"
	"sync"
	"time"

	"varve/metadata"
)

// outcome is how the upload of a take ended.
type outcome int

const (
	committed outcome = iota
	gone              // the partition isn't ours any more, or the data isn't wanted
	unread            // the journal didn't give it, or the manifest can't be read
	stopped           // ctx ended; whether it was committed is not known
)

var outcomeNames = map[outcome]string{committed: "committed", gone: "not_owner", unread: "unread", stopped: "stopped"}

// round is one pass: objects are built and uploaded side by side, and each
// partition is committed as soon as all of its parts are in the bucket.
type round struct {
	u  *Uploader
	wg sync.WaitGroup

	mu struct {
		sync.Mutex
		missing  map[*take]int               // parts that are not in the bucket yet
		objects  map[*take][]metadata.Object // where its parts are
		open     map[metadata.Object]int     // takes that may still be committed in it
		outcomes map[*take]outcome
	}
}

// round uploads what is due and commits it. It says whether there may be more.
func (u *Uploader) round(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	tasks := u.plan(ctx)
	if len(tasks) == 0 {
		return false
	}
	r := &round{u: u}
	r.mu.missing = map[*take]int{}
	r.mu.objects = map[*take][]metadata.Object{}
	r.mu.open = map[metadata.Object]int{}
	r.mu.outcomes = map[*take]outcome{}
	for _, t := range tasks {
		for _, p := range t.parts {
			r.mu.missing[p.take]++
		}
	}
	if err := u.load(ctx, tasks); err == nil {
		r.run(ctx, tasks)
	}
	return u.conclude(ctx, r.mu.outcomes)
}

func (r *round) run(ctx context.Context, tasks []task) {
	uploads := make(chan struct{}, r.u.cfg.Concurrency)
	commits := make(chan struct{}, r.u.cfg.Commits)
	for i := range tasks {
		uploads <- struct{}{}
		r.wg.Go(func() {
			object, err := r.u.upload(ctx, &tasks[i])
			<-uploads
			for _, t := range r.arrived(&tasks[i], object, err) {
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

// arrived notes that an object is in the bucket and gives what can be committed.
// A take of which a part couldn't be read is given up for now, as is everything
// when err says that ctx ended.
func (r *round) arrived(t *task, object metadata.Object, err error) (ready []*take) {
	r.mu.Lock()
	defer r.mu.Unlock()
	touched := map[*take]bool{}
	for _, p := range t.parts {
		if !touched[p.take] && object.Writer != 0 {
			r.mu.objects[p.take] = append(r.mu.objects[p.take], object)
			r.mu.open[object]++
			touched[p.take] = true
		}
		if r.mu.missing[p.take]--; r.mu.missing[p.take] == 0 {
			ready = append(ready, p.take)
		}
	}
	if err != nil {
		for _, p := range t.parts {
			p.err = err
		}
	}
	return ready
}

// ended notes the outcome of a take, and settles objects in which nothing is open.
func (r *round) ended(t *take, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.outcomes[t] = o
	r.u.metrics.commits.WithLabelValues(outcomeNames[o]).Inc()
	if o == stopped {
		return
	}
	for _, object := range r.mu.objects[t] {
		if r.mu.open[object]--; r.mu.open[object] == 0 {
			r.u.deps.Names.Settle(object)
		}
	}
}

// conclude draws the consequences of a round, in Run's goroutine.
func (u *Uploader) conclude(ctx context.Context, outcomes map[*take]outcome) bool {
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

// err is why a take can't be committed, if it can't.
func (t *take) err() error {
	errs := []error{t.unfolded}
	for _, p := range t.parts {
		errs = append(errs, p.err)
	}
	return errors.Join(errs...)
}
