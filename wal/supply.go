package wal

import (
	"fmt"
	"sync"

	"varve/internal/id"
)

// supply has the file that follows the one being written made ahead, by the store's
// janitor. Its lock is the innermost.
type supply struct {
	store   *Store
	journal id.Journal
	size    int64
	freed   func() // a file is there, or none can be had at this moment

	mu struct {
		sync.Mutex
		num  uint32 // of the file wanted
		file *file
		err  error // why the last attempt to make it failed
	}
}

// want asks for file num.
func (p *supply) want(num uint32) {
	p.mu.Lock()
	p.mu.num = num
	p.mu.Unlock()
	s := p.store
	s.mu.Lock()
	s.mu.wants = append(s.mu.wants, p)
	s.mu.Unlock()
	signal(s.work)
}

// take returns the file that was wanted, if it is there.
func (p *supply) take() *file {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.mu.file
	p.mu.file = nil
	return f
}

// put brings the file, or why there is none, and returns how that was before.
func (p *supply) put(f *file, err error) (was error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was = p.mu.err
	p.mu.file, p.mu.err = f, err
	return was
}

// why is the answer to an append that needs the file and finds none.
func (p *supply) why() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.err != nil {
		return fmt.Errorf("%w: %w", ErrFull, p.mu.err)
	}
	return errBusy
}

// failing reports whether the file can't be had at this moment.
func (p *supply) failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.err != nil
}

func (p *supply) wanted() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.num
}

// end takes back what was asked for. After that the journal gets no more files, so
// that it can be dropped.
func (p *supply) end() {
	s := p.store
	s.mu.Lock()
	s.mu.wants = without(s.mu.wants, p)
	s.mu.Unlock()
}

// without returns a new slice, since the janitor walks through the old.
func without(all []*supply, p *supply) (rest []*supply) {
	for _, x := range all {
		if x != p {
			rest = append(rest, x)
		}
	}
	return rest
}
