package wal

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// spares are emptied files that wait to become a journal's again. A new file has to be
// zeroed first, which costs as much of the disk as the records that it takes; so enough
// of them are kept for the next burst. They have no format: what they hold is void.
type spares struct {
	cfg  *Config
	disk *disk
	log  *slog.Logger

	mu struct {
		sync.Mutex
		paths []string
		seq   int // the last one named
	}
}

// fewSpares is how many are kept on a disk that is short, so that each file that is
// trimmed makes room for the next.
const fewSpares = 2

const spareName = "spare-"

// found adds a spare that an earlier process left.
func (p *spares) found(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ := strconv.Atoi(strings.TrimPrefix(name, spareName))
	p.mu.paths = append(p.mu.paths, p.disk.path(name))
	p.mu.seq = max(p.mu.seq, n)
}

// count returns how many there are.
func (p *spares) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.paths)
}

// short reports whether hardly more of the disk is free than what has to stay free.
func (p *spares) short() bool {
	free, _, err := p.disk.space()
	return err == nil && free < p.cfg.ReserveBytes+2*p.cfg.FileBytes
}

// keeps reports whether a file of that size, which no one needs, becomes a spare.
func (p *spares) keeps(size int64) bool {
	n := p.count()
	return size == p.cfg.FileBytes && (n < fewSpares || int64(n+1)*size <= p.cfg.SpareBytes && !p.short())
}

// put makes a spare of the file at path.
func (p *spares) put(path string) error {
	p.mu.Lock()
	p.mu.seq++
	to := p.disk.path(fmt.Sprint(spareName, p.mu.seq))
	p.mu.Unlock()
	if err := p.disk.fs.Rename(path, to); err != nil {
		return err
	}
	p.add(to)
	return p.disk.fs.SyncDir(p.disk.dir)
}

func (p *spares) add(path string) {
	p.mu.Lock()
	p.mu.paths = append(p.mu.paths, path)
	p.mu.Unlock()
}

// take returns the path of a spare for a file of that size; "" if there is none.
func (p *spares) take(size int64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.mu.paths)
	if n == 0 || size != p.cfg.FileBytes {
		return ""
	}
	path := p.mu.paths[n-1]
	p.mu.paths = p.mu.paths[:n-1]
	return path
}

// fit reports whether there is a spare for a file of that size.
func (p *spares) fit(size int64) bool { return size == p.cfg.FileBytes && p.count() > 0 }

// shrink removes spares while the disk is short.
func (p *spares) shrink() {
	for p.count() > fewSpares && p.short() {
		path := p.take(p.cfg.FileBytes)
		if err := p.disk.fs.Remove(path); err != nil {
			p.log.Warn("spare journal file not removed, retrying", "file", path, "err", err)
			p.add(path)
			return
		}
	}
}
