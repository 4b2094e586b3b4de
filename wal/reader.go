package wal

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
)

// reader reads journals by place: what was just written from the tail cache, the rest from
// files, by way of a cache of its own if others are likely to read there, too.
type reader struct {
	journals *journals
	tail     *cache
	files    *readCache
	bytes    *prometheus.CounterVec // read, by source
}

func (r *reader) count(from string, n int) { r.bytes.WithLabelValues(from).Add(float64(n)) }

// view is Store.View.
func (r *reader) view(j id.Journal, pos Pos, n int) (View, bool) {
	v, ok := r.tail.view(j, pos, n)
	from := "memory"
	if !ok {
		v, ok = r.files.view(j, pos, n, n)
		from = "readahead"
	}
	if ok {
		r.count(from, n)
	}
	return v, ok
}

// readAt is Store.ReadAt.
func (r *reader) readAt(j id.Journal, p []byte, pos Pos) error {
	if r.tail.read(j, p, pos) {
		r.count("memory", len(p))
		return nil
	}
	if r.files.copy(j, p, pos) {
		r.count("readahead", len(p))
		return nil
	}
	f := r.journals.fileUpTo(j, pos, pos+Pos(len(p)))
	if f == nil {
		return fmt.Errorf("journal %v at %v: %w", j, pos, ErrGone)
	}
	if err := f.readAt(p, pos.off()); err != nil {
		return fmt.Errorf("journal %v at %v: %w", j, pos, err)
	}
	r.count("disk", len(p))
	return nil
}

// close frees the memory of both caches. The journals are closed.
func (r *reader) close() {
	r.tail.close()
	r.files.cache.close()
}
