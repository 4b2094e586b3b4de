package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/wal"
	"varve/wal/replica"
)

// errReplaced ends an agent whose journal another has sealed: it was taken for dead,
// and its partitions have other owners. It may begin again as a new incarnation.
var errReplaced = errors.New("this agent was taken for dead and replaced")

// IsReplaced says that an agent ended since the others had replaced it; it may be
// started again at once.
func IsReplaced(err error) bool { return errors.Is(err, errReplaced) }

// openJournal opens this incarnation's journal: all members join it durably before
// etcd names it.
func (a *Agent) openJournal(ctx, _ context.Context) error {
	want, began := a.cfg.Replication.Factor, a.deps.Now()
	noted := 0
	var under metadata.Revision // of the registration under which members joined
	for {
		changed := a.view.Changed()
		members := a.ensemble()
		full := len(members) == want || a.deps.Now().Sub(began) >= a.cfg.Replication.GatherFor
		if full && len(members) >= a.cfg.Replication.Quorum {
			// Before the members join: who finds this registration gone may forget the journal,
			// also while it joins once more. Under another registration it is another journal.
			if now := metadata.Revision(a.registered.Load()); now != under {
				a.journalSeq++
				under = now
			}
			err := a.openWith(ctx, under, members)
			if err == nil || errors.Is(err, errReplaced) {
				return err
			}
			a.shun(err)
			a.stands("to open a journal: " + err.Error())
			a.log.Warn("journal could not be opened, retrying", "members", len(members), "err", err)
		} else if full && noted != len(members) {
			noted = len(members)
			a.stands(fmt.Sprintf("to open a journal, and waits for other agents to keep it with: %s, %d needed", a.usable(len(members)), a.cfg.Replication.Quorum))
			a.log.Warn("waiting for other agents to replicate the journal to", "live", len(members), "needed", a.cfg.Replication.Quorum)
		}
		select {
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// usable reports how many agents can keep a journal, and of those that live and can't why.
func (a *Agent) usable(n int) string {
	text := fmt.Sprintf("%d live", n)
	for _, l := range a.view.Agents() {
		if why, ok := a.shunned.Load(l.Store); ok && a.shuns(l.Store) {
			text += fmt.Sprintf(", and agent %d (%s), which lives and did not join: %v", l.Broker, l.Host(), why.(refusal).why)
		}
	}
	return text
}

// refusal is a store that did not join.
type refusal struct {
	at  time.Time
	of  id.Incarnation // that had it then
	why error
}

// openWith opens the first journal. The transaction relies on this agent's
// registration, and is sent once: if its outcome is not known, this incarnation ends.
func (a *Agent) openWith(ctx context.Context, under metadata.Revision, members []id.Store) error {
	j := id.Journal{Writer: a.inc, Seq: a.journalSeq}
	registered := metadata.Guard{Key: metadata.AgentKey(a.self), Mod: under}
	w, err := a.peers.Create(ctx, j, members, a.cfg.Replication.Quorum)
	if err != nil {
		return err // to join again is no harm
	}
	a.journal = w // to be closed, however it ends
	rec := metadata.Journal{State: metadata.JournalOpen, Broker: a.self, Ensemble: members, Quorum: uint8(a.cfg.Replication.Quorum)}
	key := metadata.JournalKey(j)
	rev, err := a.deps.Meta.Txn(ctx, []metadata.Guard{registered, {Key: key}}, metadata.Put(key, rec.Encode()))
	if err != nil {
		return fmt.Errorf("open journal %v: %w: %w", j, err, errReplaced)
	}
	return a.view.Await(ctx, metadata.PrefixJournals, rev)
}

// shunFor is how long a store that did not join a journal is not asked again: it lives,
// but is full, or can't be reached from here. One that refuses connections may be about to
// listen; its agent's next registration ends the waiting in any case.
const (
	shunFor        = 30 * time.Second
	shunRefusedFor = 500 * time.Millisecond
)

// shun notes the stores that did not join.
func (a *Agent) shun(err error) {
	for _, e := range replica.NotJoined(err) {
		l, _ := a.view.Store(e.Store)
		a.shunned.Store(e.Store, refusal{a.deps.Now(), l.Incarnation, e})
	}
}

func (a *Agent) shuns(s id.Store) bool {
	found, ok := a.shunned.Load(s)
	if !ok {
		return false
	}
	r := found.(refusal)
	if l, live := a.view.Store(s); live && l.Incarnation != r.of {
		return false
	}
	limit := shunFor
	if errors.Is(r.why, syscall.ECONNREFUSED) {
		limit = shunRefusedFor
	}
	return a.deps.Now().Sub(r.at) < limit
}

// ensemble chooses the stores that are to keep a journal: this one, and live ones in
// other racks that keep few.
func (a *Agent) ensemble() []id.Store {
	kept := map[id.Store]int{}
	for _, rec := range a.view.Journals() {
		if rec.State == metadata.JournalOpen {
			for _, s := range rec.Ensemble {
				kept[s]++
			}
		}
	}
	drained := a.view.Drained()
	last := func(l cluster.Live) int { // better three with a drained one than two
		if drained[l.Broker] {
			return 1
		}
		return 0
	}
	var others []cluster.Live
	for _, l := range a.view.Agents() {
		if l.Store != a.store.ID() && l.Peer != "" && !l.Leaving && !a.shuns(l.Store) {
			others = append(others, l)
		}
	}
	members := []id.Store{a.store.ID()}
	racks := map[string]int{a.cfg.Rack: 1}
	for len(members) < a.cfg.Replication.Factor && len(others) > 0 {
		next := slices.MinFunc(others, func(x, y cluster.Live) int {
			return cmp.Or(cmp.Compare(last(x), last(y)), cmp.Compare(racks[x.Rack], racks[y.Rack]), cmp.Compare(kept[x.Store], kept[y.Store]), cmp.Compare(x.Broker, y.Broker))
		})
		members = append(members, next.Store)
		racks[next.Rack]++
		others = slices.DeleteFunc(others, func(l cluster.Live) bool { return l.Broker == next.Broker })
	}
	return members
}

// keepJournals seals here what etcd says is sealed, and drops what etcd has
// forgotten. It ends this agent if its own journal was sealed by others.
func (a *Agent) keepJournals(ctx context.Context) {
	known := a.view.Journals()
	a.tails.Keep(func(j id.Journal) bool { _, ok := known[j]; return ok })
	mine := a.journal.ID()
	if rec, ok := known[mine]; ok && rec.State != metadata.JournalOpen && !a.sealing.Load() && !a.movedOn(known, mine) {
		a.die(fmt.Errorf("journal %v is %v: %w", mine, rec.State, errReplaced))
		return
	}
	for _, j := range a.store.Journals() {
		rec, ok := known[j]
		_, sealed := a.store.Sealed(j)
		switch {
		case j == mine:
		case !ok:
			a.dropJournal(ctx, j)
		case rec.State == metadata.JournalSealed && !sealed:
			if err := a.peers.Seal(ctx, a.store.ID(), j, rec.End); err != nil {
				a.log.Warn("journal not sealed on this disk, retrying", "journal", j, "err", err)
			}
		}
	}
}

// movedOn says that this agent itself sealed a journal, to go on with the next, which
// the writer is about to do.
func (a *Agent) movedOn(known map[id.Journal]cluster.Journal, mine id.Journal) bool {
	for j := range known {
		if j.Writer == a.inc && j.Seq > mine.Seq {
			return true
		}
	}
	return false
}

// dropJournal removes from this disk a journal that etcd doesn't know, once it can't
// be opened any more: the tier has all of it, or it never was opened (design page
// 0005, "forget").
func (a *Agent) dropJournal(ctx context.Context, j id.Journal) {
	if may, err := a.mayForget(ctx, j); err != nil || !may {
		return // later
	}
	_, sealed := a.store.Sealed(j)
	var err error
	if !sealed {
		err = a.peers.Seal(ctx, a.store.ID(), j, 0)
	}
	if err == nil {
		err = a.peers.Drop(ctx, a.store.ID(), j)
	}
	if err != nil {
		a.log.Warn("journal not dropped", "journal", j, "err", err)
		return
	}
	a.log.Info("journal deleted: all of it is in the bucket", "journal", j)
}

// mayForget reports whether a journal that the picture lacks is gone for good. All of it
// is read from etcd anew, later than the journal was joined here.
func (a *Agent) mayForget(ctx context.Context, j id.Journal) (bool, error) {
	before := a.seen.Newest()
	agents, rev, err := a.deps.Meta.List(ctx, metadata.PrefixAgents)
	if err != nil {
		return false, err
	}
	if err := a.seen.Confirm(before, rev, a.log, a.die); err != nil {
		return false, err
	}
	if over, err := a.cantOpen(ctx, j, agents); err != nil || !over {
		return false, err
	}
	// Last: it may have been opened until what was read before became final.
	_, err = a.deps.Meta.Get(ctx, metadata.JournalKey(j))
	if errors.Is(err, metadata.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// cantOpen says that a journal won't be opened from now on, by what is final.
func (a *Agent) cantOpen(ctx context.Context, j id.Journal, agents []metadata.KV) (bool, error) {
	if _, sealed := a.store.Sealed(j); sealed {
		return true, nil
	}
	as, err := a.store.Joined(j)
	if err != nil {
		return false, err
	}
	if as.Prev == 0 { // a first journal: its writer's registration is gone for good
		for _, kv := range agents {
			if l, err := metadata.DecodeAgent(kv.Value); err != nil || l.Incarnation == j.Writer {
				return false, err
			}
		}
		return true, nil
	}
	kv, err := a.deps.Meta.Get(ctx, metadata.JournalKey(id.Journal{Writer: j.Writer, Seq: as.Prev}))
	if errors.Is(err, metadata.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	return err == nil && rec.State != metadata.JournalOpen, err
}

// watchJournal ends this agent when its journal took an end that nobody here wanted:
// its members refuse it, since a recoverer fenced them.
func (a *Agent) watchJournal(ctx context.Context) {
	select {
	case <-a.journal.Ended():
		err := a.journal.Err()
		if errors.Is(err, wal.ErrFenced) {
			err = fmt.Errorf("%w: %w", err, errReplaced)
		}
		if !a.sealing.Load() {
			a.die(err)
		}
	case <-ctx.Done():
	}
}

// sealOwn ends this incarnation's journal for good, after the writer is closed.
func (a *Agent) sealOwn(ctx context.Context, w *wal.Writer) (metadata.Revision, error) {
	j := w.ID()
	key := metadata.JournalKey(j)
	kv, err := a.deps.Meta.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	rec, err := metadata.DecodeJournal(kv.Value)
	if err != nil {
		return 0, err
	}
	if rec.State != metadata.JournalOpen {
		return 0, fmt.Errorf("journal %v is %v", j, rec.State)
	}
	rec.State, rec.End = metadata.JournalSealed, w.Committed()
	rev, err := a.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, rec.Encode()))
	if err != nil {
		return 0, err
	}
	return rev, a.peers.Seal(ctx, a.store.ID(), j, rec.End)
}
