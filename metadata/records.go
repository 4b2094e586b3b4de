package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"varve/internal/id"
	"varve/internal/wire"
)

// A value is one byte of version, from 1, then its fields in the order of the
// struct, in package wire's primitives. A decoder knows every version that was
// ever released and refuses newer ones.

// ValueError is a value that could not be decoded.
type ValueError struct {
	Kind string
	Err  error
}

func (e *ValueError) Error() string { return fmt.Sprintf("decode %s: %v", e.Kind, e.Err) }
func (e *ValueError) Unwrap() error { return e.Err }

// decode checks the version byte, lets body read the fields and checks that
// nothing is left over.
func decode(kind string, newest uint8, b []byte, body func(*wire.Reader)) error {
	r := wire.NewReader(b)
	if v := r.U8(); r.Err() == nil && (v == 0 || v > newest) {
		return &ValueError{kind, fmt.Errorf("version %d is not one of 1 to %d", v, newest)}
	}
	if r.Err() == nil {
		body(r)
	}
	if err := r.Done(); err != nil {
		return &ValueError{kind, err}
	}
	return nil
}

// Cluster is what the first agent decides once.
type Cluster struct {
	ID      string // Kafka's cluster id: 22 characters of URL-safe base64
	Created time.Time
	// Layout is that of the keys. Agents that don't know it refuse to start.
	Layout uint8
}

// The layouts of the keys. A cluster has been of layout 1.
const (
	MixedLayout  = 2 // some ownerships have keys of their own: heads are being converted, or were until an agent died
	NewestLayout = 3 // all have
)

// Encode writes the value. The layout is its version.
func (c Cluster) Encode() []byte {
	b := wire.AppendString([]byte{c.Layout}, c.ID)
	return binary.AppendVarint(b, c.Created.UnixMilli())
}

// DecodeCluster reads what Encode writes.
func DecodeCluster(b []byte) (c Cluster, err error) {
	if len(b) > 0 && b[0] > NewestLayout {
		return c, &ValueError{"cluster", fmt.Errorf("a newer build has converted the metadata to layout %d, this build reads 1 to %d", b[0], NewestLayout)}
	}
	err = decode("cluster", NewestLayout, b, func(r *wire.Reader) {
		c.Layout = b[0]
		c.ID = r.String()
		c.Created = time.UnixMilli(r.Varint())
	})
	return c, err
}

// Bucket is where the cluster's objects are, as in its marker there.
type Bucket struct {
	Place string // names the bucket and prefix; the marker has the same
	Name  string // where that was when it was marked, for people
	Since time.Time
}

// Encode writes the value.
func (k Bucket) Encode() []byte {
	b := wire.AppendString(wire.AppendString([]byte{1}, k.Place), k.Name)
	return binary.AppendVarint(b, k.Since.UnixMilli())
}

// DecodeBucket reads what Encode writes.
func DecodeBucket(b []byte) (k Bucket, err error) {
	err = decode("bucket", 1, b, func(r *wire.Reader) {
		k.Place, k.Name = r.String(), r.String()
		k.Since = time.UnixMilli(r.Varint())
	})
	return k, err
}

// Endpoint is one advertised listener of an agent.
type Endpoint struct {
	Listener string // the listener's name
	Host     string
	Port     int32
}

// Agent is a live agent.
type Agent struct {
	Incarnation id.Incarnation
	Store       id.Store
	Rack        string // "" is none
	Version     string
	HTTP        string // host:port of its admin API
	Endpoints   []Endpoint
	Peer        string // host:port at which other agents reach it; "" is none
	Leaving     bool   // it was told to stop: nothing is given to it any more
}

// Host is where the agent is reached: by other agents, or else by clients.
func (a *Agent) Host() string {
	if a.Peer != "" || len(a.Endpoints) == 0 {
		return a.Peer
	}
	return net.JoinHostPort(a.Endpoints[0].Host, strconv.Itoa(int(a.Endpoints[0].Port)))
}

// Encode writes the value.
func (a Agent) Encode() []byte {
	b := binary.AppendUvarint([]byte{2}, uint64(a.Incarnation))
	b = append(b, a.Store[:]...)
	b = wire.AppendString(b, a.Rack)
	b = wire.AppendString(b, a.Version)
	b = wire.AppendString(b, a.HTTP)
	b = binary.AppendUvarint(b, uint64(len(a.Endpoints)))
	for _, e := range a.Endpoints {
		b = wire.AppendString(b, e.Listener)
		b = wire.AppendString(b, e.Host)
		b = binary.AppendVarint(b, int64(e.Port))
	}
	b = wire.AppendString(b, a.Peer)
	return wire.AppendBool(b, a.Leaving)
}

// DecodeAgent reads what Encode writes. Version 1 had neither Peer nor Leaving.
func DecodeAgent(b []byte) (a Agent, err error) {
	err = decode("agent", 2, b, func(r *wire.Reader) {
		a.Incarnation = id.Incarnation(r.Uvarint())
		copy(a.Store[:], r.Fixed(16))
		a.Rack, a.Version, a.HTTP = r.String(), r.String(), r.String()
		for n := r.Count(3); n > 0; n-- {
			a.Endpoints = append(a.Endpoints, Endpoint{r.String(), r.String(), int32(r.Varint())})
		}
		if b[0] >= 2 {
			a.Peer, a.Leaving = r.String(), r.Bool()
		}
	})
	return a, err
}

// Role is the incarnation that has a part in the cluster that one agent has at a
// time: the controller, or a coordinator slot.
type Role struct {
	Incarnation id.Incarnation
	Broker      id.Broker
}

// Encode writes the value.
func (o Role) Encode() []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(o.Incarnation))
	return binary.AppendVarint(b, int64(o.Broker))
}

// DecodeRole reads what Encode writes.
func DecodeRole(b []byte) (o Role, err error) {
	err = decode("role", 1, b, func(r *wire.Reader) {
		o.Incarnation = id.Incarnation(r.Uvarint())
		o.Broker = id.Broker(r.Varint())
	})
	return o, err
}

// JournalState is a step in a journal's life.
type JournalState uint8

// The states of a journal, in order.
const (
	JournalOpen JournalState = iota + 1
	JournalRecovering
	JournalSealed
)

func (s JournalState) String() string {
	switch s {
	case JournalOpen:
		return "open"
	case JournalRecovering:
		return "recovering"
	case JournalSealed:
		return "sealed"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Journal is the stores that keep a journal, and how far it counts.
type Journal struct {
	State    JournalState
	Broker   id.Broker  // whose incarnation writes it
	Ensemble []id.Store // the writer's own among them
	Quorum   uint8      // Q: how many must have an entry before it is acknowledged
	Fence    uint64     // of a recovering journal: the recoverer's epoch E
	End      uint64     // of a sealed journal: the number of its last entry, 0 if it has none
	// Holders, of a sealed journal, are stores outside the ensemble that a recoverer
	// handed all of it over.
	Holders []id.Store
	// Lost, of a sealed journal: an operator gave up what lay beyond End. Offsets that
	// are missing in a chain from there on may be passed over.
	Lost bool
}

// Keepers are all the stores that may have all of a sealed journal.
func (j *Journal) Keepers() []id.Store { return slices.Concat(j.Ensemble, j.Holders) }

// Encode writes the value.
func (j Journal) Encode() []byte {
	b := []byte{3, uint8(j.State)}
	b = binary.AppendVarint(b, int64(j.Broker))
	b = append(b, j.Quorum)
	b = binary.AppendUvarint(b, j.Fence)
	b = binary.AppendUvarint(b, j.End)
	return wire.AppendBool(appendStores(appendStores(b, j.Ensemble), j.Holders), j.Lost)
}

func appendStores(b []byte, stores []id.Store) []byte {
	b = binary.AppendUvarint(b, uint64(len(stores)))
	for _, s := range stores {
		b = append(b, s[:]...)
	}
	return b
}

func readStores(r *wire.Reader) (stores []id.Store) {
	for n := r.Count(16); n > 0; n-- {
		stores = append(stores, id.Store(r.Fixed(16)))
	}
	return stores
}

// DecodeJournal reads what Encode writes. Version 1 had no holders, version 2 no Lost.
func DecodeJournal(b []byte) (j Journal, err error) {
	err = decode("journal", 3, b, func(r *wire.Reader) {
		j.State = JournalState(r.U8())
		j.Broker = id.Broker(r.Varint())
		j.Quorum = r.U8()
		j.Fence, j.End = r.Uvarint(), r.Uvarint()
		j.Ensemble = readStores(r)
		if b[0] >= 2 {
			j.Holders = readStores(r)
		}
		if b[0] >= 3 {
			j.Lost = r.Bool()
		}
	})
	if err == nil && (j.State < JournalOpen || j.State > JournalSealed) {
		err = &ValueError{"journal", fmt.Errorf("%v", j.State)}
	}
	return j, err
}

// Topic is a topic's definition. Partitions without a head are new and empty.
type Topic struct {
	ID         id.Topic
	Partitions int32
	Created    time.Time
	Config     Settings // what was set for this topic
}

// Encode writes the value.
func (t Topic) Encode() []byte {
	b := append([]byte{1}, t.ID[:]...)
	b = binary.AppendVarint(b, int64(t.Partitions))
	b = binary.AppendVarint(b, t.Created.UnixMilli())
	return t.Config.append(b)
}

// DecodeTopic reads what Encode writes.
func DecodeTopic(b []byte) (t Topic, err error) {
	err = decode("topic", 1, b, func(r *wire.Reader) {
		copy(t.ID[:], r.Fixed(16))
		t.Partitions = int32(r.Varint())
		t.Created = time.UnixMilli(r.Varint())
		t.Config = readSettings(r)
	})
	if err == nil && t.Partitions < 1 {
		err = &ValueError{"topic", fmt.Errorf("%d partitions", t.Partitions)}
	}
	return t, err
}

// DeletedTopic is a topic whose data still is in the tier.
type DeletedTopic struct {
	Name    string
	Deleted time.Time
	Topic   Topic
	Purged  bool // its heads are being removed: it can't be had back any more (since version 2)
}

// Encode writes the value.
func (d DeletedTopic) Encode() []byte {
	b := wire.AppendString([]byte{2}, d.Name)
	b = binary.AppendVarint(b, d.Deleted.UnixMilli())
	b = wire.AppendBytes(b, d.Topic.Encode())
	return wire.AppendBool(b, d.Purged)
}

// DecodeDeletedTopic reads what Encode writes.
func DecodeDeletedTopic(b []byte) (d DeletedTopic, err error) {
	var topic []byte
	err = decode("deleted topic", 2, b, func(r *wire.Reader) {
		d.Name = r.String()
		d.Deleted = time.UnixMilli(r.Varint())
		topic = r.Bytes()
		d.Purged = b[0] > 1 && r.Bool()
	})
	if err == nil {
		d.Topic, err = DecodeTopic(topic)
	}
	return d, err
}

// Settings is a set of named settings that someone made.
type Settings map[string]string

func (c Settings) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c)))
	for _, k := range slices.Sorted(maps.Keys(c)) {
		b = wire.AppendString(b, k)
		b = wire.AppendString(b, c[k])
	}
	return b
}

func readSettings(r *wire.Reader) Settings {
	n := r.Count(2)
	c := make(Settings, n)
	for ; n > 0; n-- {
		k := r.String()
		c[k] = r.String()
	}
	return c
}

// Encode writes the value.
func (c Settings) Encode() []byte { return c.append([]byte{1}) }

// DecodeSettings reads what Encode writes.
func DecodeSettings(b []byte) (c Settings, err error) {
	err = decode("config", 1, b, func(r *wire.Reader) { c = readSettings(r) })
	return c, err
}

// OffsetCommit is what a group committed for one partition.
type OffsetCommit struct {
	Offset      int64
	LeaderEpoch id.Epoch // NoEpoch if the client sent none
	Metadata    string
	Committed   time.Time
	Expires     time.Time // zero: by the group's retention
	Topic       id.Topic  // that it is about: its name may be another's later; zero: not known (version 1)
}

// Offsets are a group's commits in one topic, by partition: of one shard, in values of
// earlier versions of all partitions.
type Offsets map[int32]OffsetCommit

// Encode writes the value: the topics' ids, mostly one, and then the commits, which
// name them by number.
func (o Offsets) Encode() []byte {
	partitions := slices.Sorted(maps.Keys(o))
	var topics []id.Topic
	for _, p := range partitions {
		if t := o[p].Topic; !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	b := binary.AppendUvarint([]byte{2}, uint64(len(topics)))
	for _, t := range topics {
		b = append(b, t[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(o)))
	for _, p := range partitions {
		c := o[p]
		b = binary.AppendUvarint(b, uint64(slices.Index(topics, c.Topic)))
		b = binary.AppendVarint(b, int64(p))
		b = binary.AppendVarint(b, c.Offset)
		b = binary.AppendVarint(b, int64(c.LeaderEpoch))
		b = wire.AppendString(b, c.Metadata)
		b = binary.AppendVarint(b, c.Committed.UnixMilli())
		var expires int64
		if !c.Expires.IsZero() {
			expires = c.Expires.UnixMilli()
		}
		b = binary.AppendVarint(b, expires)
	}
	return b
}

// DecodeOffsets reads what Encode writes, and version 1, which had no topics.
func DecodeOffsets(b []byte) (o Offsets, err error) {
	strange := false
	err = decode("offsets", 2, b, func(r *wire.Reader) {
		var topics []id.Topic
		if b[0] > 1 {
			for n := r.Count(len(id.Topic{})); n > 0; n-- {
				var t id.Topic
				copy(t[:], r.Fixed(len(t)))
				topics = append(topics, t)
			}
		}
		n := r.Count(6)
		o = make(Offsets, n)
		for ; n > 0; n-- {
			var topic id.Topic
			if b[0] > 1 {
				if i := r.Uvarint(); i < uint64(len(topics)) {
					topic = topics[i]
				} else {
					strange = true
				}
			}
			p := int32(r.Varint())
			c := OffsetCommit{Topic: topic, Offset: r.Varint(), LeaderEpoch: id.Epoch(r.Varint()), Metadata: r.String(), Committed: time.UnixMilli(r.Varint())}
			if e := r.Varint(); e != 0 {
				c.Expires = time.UnixMilli(e)
			}
			o[p] = c
		}
	})
	if err == nil && strange {
		err = &ValueError{"offsets", errors.New("a commit is of a topic that isn't listed")}
	}
	return o, err
}
