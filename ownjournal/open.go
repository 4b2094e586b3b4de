package ownjournal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// Open opens this incarnation's first journal: all members join it durably before etcd
// names it. It waits until there are enough, or ctx ends.
func Open(ctx context.Context, cfg Config, deps Deps) (*Journal, error) {
	o := &opening{cfg: &cfg, deps: &deps, refused: newRefusals()}
	w, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	return &Journal{cfg: cfg, deps: deps, writer: w, seq: o.seq, refused: o.refused}, nil
}

// opening is the search for members of the first journal.
type opening struct {
	cfg     *Config
	deps    *Deps
	refused *refusals
	seq     uint32            // of the newest try
	under   metadata.Revision // the registration under which members joined
	told    int               // how many agents were logged
}

func (o *opening) open(ctx context.Context) (*wal.Writer, error) {
	began := o.deps.Now()
	for {
		changed := o.deps.View.Changed()
		s := look(o.deps.View, o.deps.Store.ID(), o.refused.all())
		members := s.ensemble(o.cfg, o.deps.Now())
		full := len(members) == o.cfg.Factor || o.deps.Now().Sub(began) >= o.cfg.GatherFor
		switch {
		case full && len(members) >= o.cfg.Quorum:
			w, err := o.try(ctx, members)
			if err == nil || errors.Is(err, ErrReplaced) {
				return w, err
			}
			o.refused.note(o.deps, err)
			o.deps.Waiting("to open a journal: " + err.Error())
			o.deps.Log.Warn("journal could not be opened, retrying", "members", len(members), "err", err)
		case full && o.told != len(members):
			o.told = len(members)
			o.deps.Waiting(fmt.Sprintf("to open a journal, and waits for other agents to keep it with: %s, %d needed", s.usable(len(members), o.deps.Now()), o.cfg.Quorum))
			o.deps.Log.Warn("waiting for other agents to replicate the journal to", "live", len(members), "needed", o.cfg.Quorum)
		}
		select {
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try opens the journal with these members. The transaction relies on this agent's
// registration, and is sent once: if its outcome is not known, this incarnation ends.
func (o *opening) try(ctx context.Context, members []id.Store) (*wal.Writer, error) {
	// Before the members join: an agent that finds this registration gone may forget the
	// journal, also while it joins again. Under another registration it is another journal.
	if now := o.deps.Registered(); now != o.under {
		o.seq++
		o.under = now
	}
	j := id.Journal{Writer: o.deps.Incarnation, Seq: o.seq}
	w, err := o.deps.Node.Create(ctx, j, members, o.cfg.Quorum)
	if err != nil {
		return nil, err // to join again is no harm
	}
	rec := schema.Journal{State: schema.JournalOpen, Broker: o.deps.Self, Ensemble: members, Quorum: uint8(o.cfg.Quorum)}
	key := schema.JournalKey(j)
	registered := metadata.Guard{Key: schema.AgentKey(o.deps.Self), Mod: o.under}
	rev, err := o.deps.Meta.Txn(ctx, []metadata.Guard{registered, {Key: key}}, metadata.Put(key, rec.Encode()))
	if err != nil {
		err = fmt.Errorf("open journal %v: %w: %w", j, err, ErrReplaced)
	} else {
		err = o.deps.View.Await(ctx, schema.PrefixJournals, rev)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}
