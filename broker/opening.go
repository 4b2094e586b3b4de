package broker

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"varve/auth/acl"
	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
)

// A client may know of a topic or an owner before the agent that it asks does, or while that
// agent still opens the partition: after a topic was created, a partition moved, an agent
// died. Such a request is held for a moment instead of being refused, since clients that
// don't repeat themselves would fail.
const (
	// holdPatience is how long requests for a partition are held since the first of them, and
	// how long one request is held for all of its partitions.
	holdPatience = 500 * time.Millisecond
	// askPatience bounds the question to etcd whether a topic or an owner is new.
	askPatience = 250 * time.Millisecond
	// askRate is how many such questions a second are asked at most, and askBurst how many at
	// once: a request may name hundreds of partitions that have moved. Beyond that, and for a
	// second after etcd didn't answer or was slow, what is known here counts.
	askRate  = 100
	askBurst = 16
	// askSlow is what makes etcd too slow to be asked again within a second: requests of a
	// connection wait for each other.
	askSlow = 60 * time.Millisecond
	// heldAtMost bounds the partitions of which it is remembered that they were waited for.
	heldAtMost = 100_000
)

// opening finds partitions for requests.
type opening struct {
	view       *cluster.View
	store      metadata.Store
	partitions Partitions
	self       id.Broker

	asks  singleflight.Group
	limit *rate.Limiter

	mu struct {
		sync.Mutex
		silent time.Time // until when etcd is not asked
		held   map[id.Partition]hold
	}
}

// hold is until when requests for a partition are held, in one of its leader epochs.
type hold struct {
	epoch id.Epoch
	until time.Time
}

func newOpening(d *Deps) *opening {
	o := &opening{view: d.View, store: d.Store, partitions: d.Partitions, self: d.Self, limit: rate.NewLimiter(askRate, askBurst)}
	o.mu.held = map[id.Partition]hold{}
	return o
}

// topic returns a topic by name or id. One that isn't known here, but to etcd, is waited for.
func (o *opening) topic(ctx context.Context, byID bool, name string, topic id.Topic) (*cluster.Topic, error) {
	if byID {
		if t, ok := o.view.TopicByID(topic); ok {
			return t, nil
		}
		if t := o.newTopic(ctx, topic); t != nil {
			return t, nil
		}
		return nil, kerr.UnknownTopicID
	}
	if t, ok := o.view.Topic(name); ok {
		return t, nil
	}
	if cluster.CheckTopicName(name) == nil && o.changed(ctx, schema.PrefixTopics, schema.TopicKey(name)) {
		if t, ok := o.view.Topic(name); ok {
			return t, nil
		}
	}
	return nil, kerr.UnknownTopicOrPartition
}

// topicFor returns a topic if the caller may do op with it. It asks that first where the
// topic is named, so that the answer doesn't tell whether it exists; ids are no secrets.
func (o *opening) topicFor(ctx context.Context, c *caller, op acl.Operation, byID bool, name string, topic id.Topic) (*cluster.Topic, error) {
	return topicFor(ctx, o, c, op, byID, name, topic)
}

// topicFor is opening.topicFor, with what finds topics.
func topicFor(ctx context.Context, topics groupTopics, c *caller, op acl.Operation, byID bool, name string, topic id.Topic) (*cluster.Topic, error) {
	if !byID {
		if err := c.check(op, onTopic, name); err != nil {
			return nil, err
		}
	}
	t, err := topics.topic(ctx, byID, name, topic)
	if err == nil && byID {
		err = c.check(op, onTopic, t.Name)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// newTopic waits for a topic of which etcd has a partition, unless it was deleted.
func (o *opening) newTopic(ctx context.Context, topic id.Topic) *cluster.Topic {
	if !o.changed(ctx, schema.PrefixOwners, schema.OwnerKey(id.Partition{Topic: topic})) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	for {
		changed := o.view.Changed()
		if t, ok := o.view.TopicByID(topic); ok {
			return t
		}
		if _, deleted := o.view.Deleted()[topic]; deleted {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// partition returns a partition that this agent serves. If it is the owner, also if it only
// learns that now, and doesn't serve it yet, it waits for that, but not longer than
// holdPatience after the request arrived.
func (o *opening) partition(ctx context.Context, arrived time.Time, at id.Partition) (*partition.Partition, error) {
	if p := o.partitions.Get(at); p != nil {
		return p, nil
	}
	epoch, mine := o.mine(at)
	if !mine && o.changed(ctx, schema.PrefixOwners, schema.OwnerKey(at)) {
		epoch, mine = o.mine(at)
	}
	if !mine {
		return nil, kerr.NotLeaderForPartition
	}
	until := o.until(at, epoch, time.Now())
	if most := arrived.Add(holdPatience); most.Before(until) {
		until = most
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		opened, changed := o.partitions.Changed(), o.view.Changed()
		if p := o.partitions.Get(at); p != nil {
			o.forget(at)
			return p, nil
		}
		if _, mine := o.mine(at); !mine {
			return nil, kerr.NotLeaderForPartition
		}
		select {
		case <-opened:
		case <-changed:
		case <-ctx.Done():
			return nil, kerr.NotLeaderForPartition
		}
	}
}

// mine reports whether this agent is known to be the owner, and in which epoch.
func (o *opening) mine(at id.Partition) (id.Epoch, bool) {
	owner, ok := o.view.Owner(at)
	return owner.Epoch, ok && owner.Broker == o.self
}

// until returns when requests for a partition are refused.
func (o *opening) until(at id.Partition, epoch id.Epoch, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, ok := o.mu.held[at]
	if !ok || h.epoch != epoch {
		if len(o.mu.held) >= heldAtMost {
			clear(o.mu.held)
		}
		h = hold{epoch, now.Add(holdPatience)}
		o.mu.held[at] = h
	}
	return h.until
}

func (o *opening) forget(at id.Partition) {
	o.mu.Lock()
	delete(o.mu.held, at)
	o.mu.Unlock()
}

// changed asks etcd for a key and waits until the view shows it as it is there. It reports
// whether there is such a key, and the view has it.
func (o *opening) changed(ctx context.Context, prefix, key string) bool {
	o.mu.Lock()
	silent := time.Now().Before(o.mu.silent)
	o.mu.Unlock()
	if silent {
		return false
	}
	v, err, _ := o.asks.Do(key, func() (any, error) {
		if !o.limit.Allow() {
			return metadata.KV{}, metadata.ErrNotFound
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
		defer cancel()
		began := time.Now()
		kv, err := o.store.Get(ctx, key)
		if ctx.Err() != nil || time.Since(began) > askSlow {
			o.mu.Lock()
			o.mu.silent = time.Now().Add(time.Second)
			o.mu.Unlock()
		}
		return kv, err
	})
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	return o.view.Await(ctx, prefix, v.(metadata.KV).Mod) == nil
}

// served waits until every partition of a new topic has an owner, and serves if it is this
// agent. Other agents hold requests until they serve.
func (o *opening) served(ctx context.Context, t *cluster.Topic) {
	for i := int32(0); i < t.Partitions; {
		opened, changed := o.partitions.Changed(), o.view.Changed()
		at := id.Partition{Topic: t.ID, Index: i}
		if owner, ok := o.view.Owner(at); ok && (owner.Broker != o.self || o.partitions.Get(at) != nil) {
			i++
			continue
		}
		select {
		case <-opened:
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// partitionOf returns an owned partition by its topic's name. denied, if not nil, is why the
// caller may not use the topic, and is returned.
func (o *opening) partitionOf(ctx context.Context, arrived time.Time, topic string, index int32, denied error) (*partition.Partition, error) {
	if denied != nil {
		return nil, denied
	}
	t, err := o.topic(ctx, false, topic, id.Topic{})
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= t.Partitions {
		return nil, kerr.UnknownTopicOrPartition
	}
	return o.partition(ctx, arrived, id.Partition{Topic: t.ID, Index: index})
}

// awaitServed waits, but not long, until every partition of new topics is served, so that
// the client's next request finds them.
func (o *opening) awaitServed(ctx context.Context, topics ...*cluster.Topic) {
	ctx, cancel := context.WithTimeout(ctx, servedPatience)
	defer cancel()
	for _, t := range topics {
		o.served(ctx, t)
	}
}

// servedPatience bounds the wait for the owners of new partitions.
const servedPatience = 5 * time.Second
