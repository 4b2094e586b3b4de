package wal

import (
	"context"
	"sync"
	"time"

	"varve/internal/notify"
)

// retryEvery is how soon a preparation that failed is tried again.
const retryEvery = time.Second

// janitor prepares files ahead of writers, writes indexes of full files, and
// recycles what was trimmed, in a goroutine of its own: when it is woken, and every
// retryEvery.
type janitor struct {
	recycler *recycler
	budget   *budget
	journals *journals
	caches   []*cache
	files    *preallocator

	work notify.Signal // wakes it
	stop context.CancelFunc
	done sync.WaitGroup
}

// startJanitor starts a janitor, which works until close.
func startJanitor(r *recycler, b *budget, js *journals, caches []*cache, files *preallocator, work notify.Signal) *janitor {
	ctx, cancel := context.WithCancel(context.Background())
	t := &janitor{recycler: r, budget: b, journals: js, caches: caches, files: files, work: work, stop: cancel}
	t.done.Add(1)
	go t.run(ctx)
	return t
}

func (t *janitor) run(ctx context.Context) {
	defer t.done.Done()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.work:
		case <-retry.C:
		}
		t.recycler.run()
		t.budget.look(t.journals.trimmed())
		for _, c := range t.caches {
			c.tidy()
		}
		t.files.run()
		t.journals.writeIndexes()
	}
}

func (t *janitor) close() {
	t.stop()
	t.done.Wait()
}
