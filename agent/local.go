package agent

import (
	"context"
	"sync"
	"time"

	"varve/internal/id"
	"varve/wal"
	"varve/wal/replica"
)

// local reads journals where they are: on this disk, or, of adopted tails that this
// disk lacks, at a peer until the tier has them.
type local struct {
	store *wal.Store
	node  *replica.Node

	mu     sync.RWMutex
	remote map[id.Journal]id.Store
}

func newLocal(s *wal.Store, n *replica.Node) *local {
	return &local{store: s, node: n, remote: map[id.Journal]id.Store{}}
}

// remotePatience bounds a read from a peer.
const remotePatience = 5 * time.Second

func (l *local) at(j id.Journal) (id.Store, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, ok := l.remote[j]
	return s, ok
}

// follow says that a journal is to be read at a peer.
func (l *local) follow(j id.Journal, s id.Store) {
	l.mu.Lock()
	l.remote[j] = s
	l.mu.Unlock()
}

// View implements partition.Local.
func (l *local) View(j id.Journal, pos wal.Pos, n int) (wal.View, bool) {
	if _, remote := l.at(j); remote {
		return wal.View{}, false
	}
	return l.store.View(j, pos, n)
}

// ReadAt implements partition.Local.
func (l *local) ReadAt(j id.Journal, p []byte, pos wal.Pos) error {
	s, remote := l.at(j)
	if !remote {
		return l.store.ReadAt(j, p, pos)
	}
	ctx, cancel := context.WithTimeout(context.Background(), remotePatience)
	defer cancel()
	return l.node.ReadAt(ctx, s, j, p, pos)
}

// Floor implements partition.Local. What the tier has of a remote journal is read
// there.
func (l *local) Floor(j id.Journal) wal.Pos {
	if _, remote := l.at(j); remote {
		return ^wal.Pos(0)
	}
	return l.store.Floor(j)
}
