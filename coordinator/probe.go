package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"varve/metadata"
	"varve/metadata/schema"
)

// The store is away when a small read isn't answered for probePatience.
const (
	probeEvery    = 500 * time.Millisecond
	probePatience = time.Second
	unused        = 5 * time.Second // without requests, after which nothing is asked
)

// watchStore asks the metadata store again and again whether it is there, so that requests
// need not find out one by one: each of them would hold back the heartbeats that come
// after it on its connection. When there are no requests nothing is asked.
func (c *Coordinator) watchStore() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.used:
		}
		c.probe()
	}
}

// probe watches the store as long as there are requests, or it is away.
func (c *Coordinator) probe() {
	for used := time.Now(); time.Since(used) < unused || c.away.Load(); {
		c.note(c.silent())
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(probeEvery):
		}
		select {
		case <-c.used:
			used = time.Now()
		default:
		}
	}
}

// use lets the store be watched.
func (c *Coordinator) use() { c.used.Set() }

// note tells the machines whether the store is away.
func (c *Coordinator) note(away bool) {
	if c.ctx.Err() != nil {
		return
	}
	if was := c.away.Swap(away); away && !was {
		c.log.Warn(c.kind.AwayText)
	} else if was && !away {
		c.log.Info(c.kind.BackText)
	}
	for _, s := range c.owned() {
		_ = s.send(c.ctx, func() { s.storeAway(away) }) // one that is gone needs it no more
	}
}

// silent reports whether the store doesn't answer.
func (c *Coordinator) silent() bool {
	ctx, cancel := context.WithTimeout(c.ctx, probePatience)
	defer cancel()
	_, err := c.reader.Get(ctx, schema.KeyCluster)
	return err != nil && !errors.Is(err, metadata.ErrNotFound)
}

// storeAway tells the machines in memory when the store went away, and when it is back.
func (s *slot) storeAway(away bool) {
	if s.away == away {
		return
	}
	s.away = away
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		e := s.entries[key]
		if e.m != nil {
			s.step(e, StoreAway{away})
		} else if away {
			e.failWaiting(ErrLoading)
		}
	}
}
