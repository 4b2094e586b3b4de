package owner

import (
	"maps"
	"slices"
	"time"

	"varve/cluster"
	"varve/internal/id"
	"varve/metadata/schema"
	"varve/partition"
)

// snapshot is one look at the cluster and at what is served here.
type snapshot struct {
	self     id.Incarnation
	journals map[id.Journal]cluster.Journal
	live     []id.Incarnation // agents that have a session
	rows     []row            // partitions that are served here, or that this agent owns
	unserved []row            // of which it is known why they can't be served
	leaving  bool             // this agent was told to stop
}

// topic is a topic, with what its settings mean for a partition.
type topic struct {
	*cluster.Topic
	settings *partition.Settings
	deleted  bool
}

// row is one partition.
type row struct {
	at      id.Partition
	topic   *topic
	owner   cluster.Owner        // by its head
	p       *partition.Partition // that is served here; nil: none is
	epoch   id.Epoch             // of p
	has     partition.Settings   // of p
	retired bool                 // its topic was deleted; it was uploaded and closed
}

// look gathers what reconcile decides by.
func (o *Owner) look() *snapshot {
	v := o.deps.View
	s := &snapshot{self: o.deps.Incarnation, journals: v.Journals()}
	for _, l := range v.Agents() {
		s.live = append(s.live, l.Incarnation)
	}
	o.lookAtOwn(s)
	for at := range o.deps.Unserved.All() {
		owner, _ := v.Owner(at)
		s.unserved = append(s.unserved, row{at: at, owner: owner, retired: o.retiredBefore(at)})
	}
	s.leaving = o.deps.Leaving()
	return s
}

// lookAtOwn adds the rows of the partitions that this agent owns or serves, topic by topic.
// It doesn't look at the partitions of other agents, which may be many.
func (o *Owner) lookAtOwn(s *snapshot) {
	owned := o.deps.View.OwnedBy(o.deps.Self)
	for _, p := range o.deps.Set.All() {
		if _, mine := owned[p.ID()]; !mine {
			owned[p.ID()], _ = o.deps.View.Owner(p.ID())
		}
	}
	deleted := o.deps.View.Deleted()
	var t *topic
	for _, at := range slices.SortedFunc(maps.Keys(owned), id.Partition.Compare) {
		if t == nil || t.ID != at.Topic {
			if t = o.topic(at.Topic, deleted); t == nil {
				continue // nothing is left of it
			}
		}
		r := row{at: at, topic: t, owner: owned[at]}
		if r.p = o.deps.Set.Get(at); r.p != nil {
			r.epoch, r.has = r.p.State().Epoch, *r.p.Settings()
		} else if r.owner.Incarnation == s.self {
			r.retired = o.retiredBefore(at)
		} else {
			continue
		}
		s.rows = append(s.rows, r)
	}
}

// topic returns a topic, also a deleted one that can still be brought back; nil if there is none.
func (o *Owner) topic(t id.Topic, deleted map[id.Topic]schema.DeletedTopic) *topic {
	of, exists := o.deps.View.TopicByID(t)
	if !exists {
		d, known := deleted[t]
		if !known {
			return nil
		}
		of = &cluster.Topic{Name: d.Name, Topic: d.Topic}
	}
	return &topic{of, partitionSettings(o.deps.View, of, o.deps.Self.String()), !exists}
}

// retiredBefore reports whether a partition of a deleted topic was uploaded and closed; it is
// opened again when the topic is brought back.
func (o *Owner) retiredBefore(at id.Partition) bool {
	_, exists := o.deps.View.TopicByID(at.Topic)
	return o.deps.Set.Retired(at, exists)
}

// memory is what reconcile remembers between two looks.
type memory struct {
	tries map[id.Partition]*try
}

// actions are what is to be done.
type actions struct {
	lose      []*partition.Partition
	configure []configure
	open      []fresh
	closed    bool           // a partition that this agent owns isn't open yet
	forget    []id.Partition // it doesn't matter any more why they can't be served
}

// configure gives a partition the settings that its topic has by now.
type configure struct {
	p        *partition.Partition
	settings *partition.Settings
}

// fresh are partitions of a topic that this agent was given.
type fresh struct {
	topic   *topic
	indexes []int32
}

// reconcile decides what is to be done about the partitions that this agent serves, and those
// that it is to serve.
func (m *memory) reconcile(s *snapshot, now time.Time) (a actions) {
	tries := map[id.Partition]*try{}
	for i := range s.rows {
		r := &s.rows[i]
		switch {
		case r.p != nil && r.owner.Epoch > r.epoch:
			a.lose = append(a.lose, r.p) // to be opened anew, if it came back in this later epoch
		case r.p != nil:
			if r.has != *r.topic.settings {
				a.configure = append(a.configure, configure{r.p, r.topic.settings})
			}
		case r.owner.Incarnation == s.self && !r.retired:
			a.closed = true
			try := m.tries[r.at]
			if try != nil {
				tries[r.at] = try
			}
			if !try.waits(r.owner.Epoch, now, s.live, s.journals) {
				a.add(r.topic, r.at.Index)
			}
		}
	}
	m.tries = tries // what is no longer wanted is forgotten
	for _, r := range s.unserved {
		if r.owner.Incarnation != s.self || r.retired {
			a.forget = append(a.forget, r.at)
		}
	}
	return a
}

// add notes that a partition is to be opened. Rows of a topic follow each other.
func (a *actions) add(t *topic, index int32) {
	if n := len(a.open); n == 0 || a.open[n-1].topic != t {
		a.open = append(a.open, fresh{topic: t})
	}
	last := &a.open[len(a.open)-1]
	last.indexes = append(last.indexes, index)
}
