package replica

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// shelf has the last entry that each peer's store has of a journal. A store that isn't listed
// doesn't answer.
type shelf struct {
	last   map[id.Store]uint64
	rotten id.Store // it answers, but can't be read
	all    []*wal.Entry
	asked  atomic.Int32
}

var errDark = errors.New("no answer")

func (s *shelf) Last(_ context.Context, at id.Store, _ id.Journal) (uint64, error) {
	s.asked.Add(1)
	if n, ok := s.last[at]; ok {
		return n, nil
	}
	return 0, errDark
}

func (s *shelf) ReadAt(_ context.Context, at id.Store, _ id.Journal, p []byte, _ wal.Pos) error {
	s.asked.Add(1)
	if _, ok := s.last[at]; !ok || at == s.rotten {
		return errDark
	}
	p[0] = at[0]
	return nil
}

// Entries returns the first half of what a rotten store has.
func (s *shelf) Entries(_ context.Context, at id.Store, _ id.Journal, each func(*wal.Entry) error) error {
	s.asked.Add(1)
	all := s.all
	if at == s.rotten {
		all = all[:len(all)/2]
	}
	for _, e := range all {
		if err := each(e); err != nil {
			return err
		}
	}
	if _, ok := s.last[at]; !ok || at == s.rotten {
		return errDark
	}
	return nil
}

// keep tells the tails which journals the cluster has.
func (t *Tails) keep(known ...id.Journal) {
	t.Keep(func(j id.Journal) bool { return slices.Contains(known, j) })
}

// TestRemoteTailIsReadWhereItIs: when the peer that an adopted tail is read from is gone, another
// peer that has all of it is read. If there is none, reads fail at once for a while.
func TestRemoteTailIsReadWhereItIs(t *testing.T) {
	first, short, whole := id.Store{1}, id.Store{2}, id.Store{3}
	peers := &shelf{last: map[id.Store]uint64{first: 10, short: 9, whole: 10}}
	now := time.Unix(1000, 0)
	l := NewTails(nil, peers, func() time.Time { return now })
	j := id.Journal{Writer: 7, Seq: 1}
	l.Follow(j, 10, first, []id.Store{first, short, whole})
	read := func() (id.Store, error) {
		var b [1]byte
		err := l.ReadAt(j, b[:], wal.First)
		return id.Store{b[0]}, err
	}
	if at, err := read(); at != first || err != nil {
		t.Fatalf("read at %v: %v", at, err)
	}
	peers.rotten = first
	for range 2 {
		if at, err := read(); at != whole || err != nil {
			t.Fatalf("after a loss, read at %v: %v", at, err)
		}
	}
	delete(peers.last, first) // its disk is lost
	delete(peers.last, whole)
	_, err := read()
	if !errors.Is(err, errDark) || !strings.Contains(err.Error(), "up to 9 of 10") {
		t.Errorf("nobody has all: %v", err)
	}
	asked := peers.asked.Load()
	if _, err := read(); err == nil || peers.asked.Load() != asked {
		t.Errorf("asked %d times more at once: %v", peers.asked.Load()-asked, err)
	}
	peers.last[first], peers.rotten = 10, id.Store{} // it comes back
	now = now.Add(tailPauseMin)
	if at, err := read(); at != first || err != nil {
		t.Errorf("come back, read at %v: %v", at, err)
	}
	for range 2 { // the second loss is no continuation of the first
		delete(peers.last, first)
		if _, err := read(); err == nil {
			t.Error("read where it is not")
		}
		peers.last[first] = 10
		now = now.Add(tailPauseMin)
		if at, err := read(); at != first || err != nil {
			t.Errorf("come back once more, read at %v: %v", at, err)
		}
	}
}

// disk opens an empty journal store.
func disk(t *testing.T) *wal.Store {
	t.Helper()
	cfg := wal.DefaultConfig()
	cfg.Dir, cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes, cfg.KeepBytes, cfg.ReserveBytes = "j", 1<<20, 256<<10, 1<<20, 0, 0
	s, err := wal.Open(cfg, wal.Options{FS: vfs.NewMemory(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestRemoteTailsAreForgotten: a journal that the view of the cluster no longer shows is read from
// the tier. One that it doesn't show yet is not.
func TestRemoteTailsAreForgotten(t *testing.T) {
	l := NewTails(disk(t), &shelf{}, time.Now)
	j := id.Journal{Writer: 7, Seq: 1}
	l.Follow(j, 10, id.Store{1}, nil)
	for _, step := range []struct {
		known []id.Journal
		reads bool
	}{{nil, true}, {[]id.Journal{j}, true}, {nil, false}} {
		if l.keep(step.known...); l.isRemote(j) != step.reads || l.Asks(j) != step.reads {
			t.Errorf("with %d journals known, remote: %v", len(step.known), !step.reads)
		}
	}
}

// TestOwnHalfOfARemoteTailIsNeverRead: a member that lags adopts a tail from a peer. After etcd has
// forgotten the journal, the tier is read and not this disk, which may have only a part of the
// journal, or old content of a recycled file, at those places.
func TestOwnHalfOfARemoteTailIsNeverRead(t *testing.T) {
	s := disk(t)
	j := id.Journal{Writer: 7, Seq: 1}
	if err := s.Join(j, wal.Membership{FileBytes: s.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Follow(j); err != nil { // nothing has come yet
		t.Fatal(err)
	}
	l := NewTails(s, &shelf{last: map[id.Store]uint64{{1}: 10}}, time.Now)
	l.Follow(j, 10, id.Store{1}, nil)
	read := func() error {
		if v, ok := l.View(j, wal.First, 64); ok {
			v.Release()
			return errors.New("a view of this disk")
		}
		return l.ReadAt(j, make([]byte, 64), wal.First)
	}
	l.keep(j)
	if err := read(); err != nil {
		t.Fatal(err)
	}
	l.keep()
	l.Follow(j, 10, id.Store{1}, nil) // by who adopted from it meanwhile
	if l.Asks(j) {
		t.Error("peers are asked for what the tier has")
	}
	if err := read(); !errors.Is(err, wal.ErrGone) || l.Floor(j) != ^wal.Pos(0) {
		t.Errorf("forgotten: %v, read from %v on", err, l.Floor(j))
	}
	if err := s.Seal(j, 10); err != nil {
		t.Fatal(err)
	}
	s.Drop(j)
	for late := time.After(2 * time.Minute); l.isRemote(j); l.keep() {
		if err := read(); !errors.Is(err, wal.ErrGone) {
			t.Fatalf("dropped: %v", err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			t.Fatal("it is remembered though the disk has nothing of it")
		}
	}
}
