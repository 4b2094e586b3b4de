package replica

import (
	"context"
	"sync"
)

// tasks are the goroutines of a node.
type tasks struct {
	ctx  context.Context // ends at close
	stop context.CancelFunc
	done sync.WaitGroup

	mu struct {
		sync.Mutex
		closed bool
	}
}

func newTasks() *tasks {
	t := new(tasks)
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// run starts a goroutine that close waits for, unless t is closed.
func (t *tasks) run(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		return false
	}
	t.done.Add(1)
	go func() {
		defer t.done.Done()
		f()
	}()
	return true
}

func (t *tasks) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.closed
}

// close ends the context, and waits.
func (t *tasks) close() {
	t.mu.Lock()
	t.mu.closed = true
	t.mu.Unlock()
	t.stop()
	t.done.Wait()
}
