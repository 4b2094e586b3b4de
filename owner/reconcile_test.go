package owner

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

var start = time.Unix(1e9, 0)

// scene is what the tests of reconcile look at: topic "t" with two partitions, of which
// this agent owns the first.
type scene struct {
	snapshot
	memory
}

func newScene() *scene {
	s := &scene{snapshot: snapshot{self: me, journals: map[id.Journal]cluster.Journal{}, live: []id.Incarnation{me, other}}, memory: memory{map[id.Partition]*try{}}}
	t := &topic{Topic: &cluster.Topic{Name: "t", Topic: schema.Topic{ID: id.Topic{7}, Partitions: 2}}, settings: &partition.Settings{RetentionMs: 1}}
	s.rows = []row{{at: at(0), topic: t, owner: cluster.Owner{Incarnation: me, Broker: 1, Epoch: 5}}}
	return s
}

func at(index int32) id.Partition { return id.Partition{Topic: id.Topic{7}, Index: index} }

// serves makes the first partition one that is served here in an epoch.
func (s *scene) serves(epoch id.Epoch) {
	r := &s.rows[0]
	r.p, r.epoch, r.has = new(partition.Partition), epoch, *r.topic.settings
}

// tries makes the first partition one whose tail, journal 9-1, is read for its owner of an
// epoch; err is how that ended, at start.
func (s *scene) tries(epoch id.Epoch, err error) {
	rec := cluster.Journal{Journal: schema.Journal{State: schema.JournalSealed, End: 5}, Mod: 10}
	j := id.Journal{Writer: 9, Seq: 1}
	s.journals[j] = rec
	t := &try{c: &candidate{head: &schema.Head{Ownership: schema.Ownership{Epoch: epoch}}, tails: []tail{{j, rec}}}, live: slices.Clone(s.live)}
	if err != nil {
		t.failed(start)
	}
	s.memory.tries[at(0)] = t
}

// TestReconcile: what is decided by what a look shows.
func TestReconcile(t *testing.T) {
	failed := errors.New("no peer answers")
	for name, x := range map[string]struct {
		do     func(*scene)
		ms     int // since start
		want   string
		tries  int // that are remembered
		forget []id.Partition
	}{
		"it was given to this agent":    {func(*scene) {}, 0, "closed open [0]", 0, nil},
		"it is served":                  {func(s *scene) { s.serves(5) }, 0, "", 0, nil},
		"it is another's":               {func(s *scene) { s.serves(5); s.rows[0].owner = cluster.Owner{Incarnation: other, Broker: 2, Epoch: 6} }, 0, "lose", 0, nil},
		"it came back in a later epoch": {func(s *scene) { s.serves(5); s.rows[0].owner.Epoch = 7 }, 0, "lose", 0, nil},
		"the view lags":                 {func(s *scene) { s.serves(5); s.rows[0].owner = cluster.Owner{Incarnation: other, Broker: 2, Epoch: 4} }, 0, "", 0, nil},
		"its settings changed":          {func(s *scene) { s.serves(5); s.rows[0].has.RetentionMs = 2 }, 0, "configure", 0, nil},
		"it was retired":                {func(s *scene) { s.rows[0].retired = true }, 0, "", 0, nil},
		"its tail is being read":        {func(s *scene) { s.tries(5, nil) }, 1e6, "closed", 1, nil},
		"its tail is read for old":      {func(s *scene) { s.tries(4, nil) }, 0, "closed open [0]", 1, nil},
		"its tail could not be read":    {func(s *scene) { s.tries(5, failed) }, 999, "closed", 1, nil},
		"a while ago":                   {func(s *scene) { s.tries(5, failed) }, 1000, "closed open [0]", 1, nil},
		"another agent lives since":     {func(s *scene) { s.tries(5, failed); s.live = append(s.live, 3) }, 1, "closed open [0]", 1, nil},
		"a loss was accepted since": {func(s *scene) {
			s.tries(5, failed)
			s.journals[id.Journal{Writer: 9, Seq: 1}] = cluster.Journal{Mod: 11}
		}, 1, "closed open [0]", 1, nil},
		"it was lost while its tail is read": {func(s *scene) { s.tries(5, nil); s.rows = nil }, 0, "", 0, nil},
		"two partitions": {func(s *scene) {
			r := s.rows[0]
			r.at = at(1)
			s.rows = append(s.rows, r)
		}, 0, "closed open [0 1]", 0, nil},
		"why others are not served": {func(s *scene) {
			s.serves(5)
			s.unserved = []row{{at: at(1), owner: cluster.Owner{Incarnation: other}}, {at: at(2), owner: cluster.Owner{Incarnation: me}}, {at: at(3), owner: cluster.Owner{Incarnation: me}, retired: true}, {at: at(4)}}
		}, 0, "", 0, []id.Partition{at(1), at(3), at(4)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			x.do(s)
			a := s.reconcile(&s.snapshot, start.Add(time.Duration(x.ms)*time.Millisecond))
			got := ""
			add := func(is bool, what string) {
				if is && got != "" {
					got += " "
				}
				if is {
					got += what
				}
			}
			add(len(a.lose) > 0, "lose")
			add(len(a.configure) > 0, "configure")
			add(a.closed, "closed")
			for _, f := range a.open {
				add(true, fmt.Sprint("open ", f.indexes))
			}
			if got != x.want || len(s.memory.tries) != x.tries || !slices.Equal(a.forget, x.forget) {
				t.Errorf("%q, %d tries, forget %v", got, len(s.memory.tries), a.forget)
			}
		})
	}
}

// TestPauses: a partition whose tail can't be read is tried again less and less often.
func TestPauses(t *testing.T) {
	tr, now := &try{c: &candidate{head: &schema.Head{Ownership: schema.Ownership{Epoch: 5}}}}, start
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, adoptPauseMax, adoptPauseMax} {
		tr.failed(now)
		if !tr.waits(5, now.Add(want-1), nil, nil) || tr.waits(5, now.Add(want), nil, nil) {
			t.Errorf("the pause is not %v", want)
		}
		now = now.Add(want)
	}
}

// TestFindTails: the tails of a partition are the sealed journals of all owners before this
// one, in order, each once; a journal that isn't sealed makes it wait.
func TestFindTails(t *testing.T) {
	rec := func(s schema.JournalState, end uint64) cluster.Journal {
		return cluster.Journal{Journal: schema.Journal{State: s, End: end}}
	}
	journal := func(writer id.Incarnation, seq uint32) id.Journal { return id.Journal{Writer: writer, Seq: seq} }
	mine := journal(me, 1)
	journals := map[id.Journal]cluster.Journal{
		mine: rec(schema.JournalOpen, 0), journal(9, 2): rec(schema.JournalSealed, 4), journal(9, 1): rec(schema.JournalSealed, 3), journal(8, 1): rec(schema.JournalSealed, 2),
		journal(7, 1): rec(schema.JournalSealed, 0), journal(6, 1): rec(schema.JournalRecovering, 0), journal(5, 1): rec(schema.JournalOpen, 0),
	}
	chain := func(writers ...id.Incarnation) (h *schema.Head) {
		h = &schema.Head{Ownership: schema.Ownership{Epoch: id.Epoch(len(writers))}}
		for i, w := range writers {
			h.Chain = append(h.Chain, schema.Link{Writer: w, Epoch: id.Epoch(i + 1)})
		}
		return h
	}
	for name, x := range map[string]struct {
		head  *schema.Head
		want  []id.Journal
		waits bool
	}{
		"new":                          {chain(me), nil, false},
		"of two owners":                {chain(9, 8, me), []id.Journal{journal(8, 1), journal(9, 1), journal(9, 2)}, false},
		"they alternated":              {chain(9, 8, 9, me), []id.Journal{journal(8, 1), journal(9, 1), journal(9, 2)}, false},
		"it was this agent's":          {chain(me, 8, me), []id.Journal{journal(8, 1)}, false},
		"a journal is empty":           {chain(7, me), nil, false},
		"a journal is being recovered": {chain(9, 6, me), []id.Journal{journal(9, 1), journal(9, 2)}, true},
		"an owner goes on":             {chain(5, me), nil, true},
	} {
		c := &candidate{head: x.head}
		findTails([]*candidate{c}, journals, mine)
		var got []id.Journal
		for _, tail := range c.tails {
			got = append(got, tail.Journal)
		}
		if !slices.Equal(got, x.want) || (c.why != nil) != x.waits {
			t.Errorf("%s: %v, %v", name, got, c.why)
		}
	}
}
