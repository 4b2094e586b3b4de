package partition

import (
	"sync"

	"varve/internal/id"
	"varve/metadata/schema"
)

// guarded is the state of a partition, under its one lock: what appends, reads, uploads and
// changes of the head have in common. The lock is held for memory only.
type guarded struct {
	sync.Mutex
	settings  *Settings
	log       log
	work      Work // since the partition was opened
	backlog   backlog
	pending   waiters
	gate      gate
	producers producers
	watchers  watchers
}

// close ends everything with an error, unless the partition is closed already: waiting appends
// and watchers are woken.
func (g *guarded) close(err error) {
	g.Lock()
	if g.log.closed == nil {
		g.log.closed = err
	}
	pending := g.pending
	g.pending = nil
	g.gate.resume() // to be answered
	g.gate.settle(g.log.quiet())
	g.watchers.wake()
	g.Unlock()
	for _, w := range pending {
		w.done.Appended(-1, err)
	}
}

// head returns the head as last committed.
func (g *guarded) head() *schema.Head {
	g.Lock()
	defer g.Unlock()
	return g.log.head
}

// state returns a consistent picture.
func (g *guarded) state() State {
	g.Lock()
	defer g.Unlock()
	return g.log.state()
}

// topic returns the name of the topic.
func (g *guarded) topic() string {
	g.Lock()
	defer g.Unlock()
	return g.settings.Topic
}

// checkEpoch compares the leader epoch that a client knows with the partition's.
func (g *guarded) checkEpoch(e id.Epoch) error {
	g.Lock()
	defer g.Unlock()
	return g.log.checkEpoch(e)
}
