package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/wal"
)

// shelf is what peers have of one journal: a store's last entry. Who isn't on it
// doesn't answer.
type shelf struct {
	last   map[id.Store]uint64
	rotten id.Store // it answers, but can't be read
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

// TestRemoteTailIsReadWhereItIs: when the peer where an adopted tail is read is gone,
// another that has all of it takes its place, and none that has less; who finds none
// doesn't wait again for each read.
func TestRemoteTailIsReadWhereItIs(t *testing.T) {
	first, short, whole := id.Store{1}, id.Store{2}, id.Store{3}
	peers := &shelf{last: map[id.Store]uint64{first: 10, short: 9, whole: 10}}
	now := time.Unix(1000, 0)
	l := newLocal(nil, peers, func() time.Time { return now })
	j := id.Journal{Writer: 7, Seq: 1}
	l.follow(j, 10, first, []id.Store{first, short, whole})
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
	now = now.Add(pauseMin)
	if at, err := read(); at != first || err != nil {
		t.Errorf("come back, read at %v: %v", at, err)
	}
}

// TestRemoteTailsAreForgotten: a journal that the picture of the cluster doesn't show
// any more is read in the tier; one that it doesn't show yet isn't.
func TestRemoteTailsAreForgotten(t *testing.T) {
	l := newLocal(nil, &shelf{}, time.Now)
	j := id.Journal{Writer: 7, Seq: 1}
	l.follow(j, 10, id.Store{1}, nil)
	for _, step := range []struct {
		known map[id.Journal]cluster.Journal
		reads bool
	}{{nil, true}, {map[id.Journal]cluster.Journal{j: {}}, true}, {nil, false}} {
		if l.keep(step.known); l.isRemote(j) != step.reads {
			t.Errorf("with %d journals known, remote: %v", len(step.known), !step.reads)
		}
	}
}
