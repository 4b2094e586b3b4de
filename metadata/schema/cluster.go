package schema

import (
	"encoding/binary"
	"fmt"
	"time"

	"varve/internal/wire"
)

// Cluster is what the first agent decides once, and the level that the cluster is at.
type Cluster struct {
	ID      string // Kafka's cluster id: 22 characters of URL-safe base64
	Created time.Time
	// Level bounds the formats that agents may write to etcd, journals and the bucket, and send to each
	// other: every build that knows the level can read them. Agents that don't know it refuse to start.
	Level uint8
	// Next is the level that a finalization prepares, or 0. Agents that don't know it refuse to
	// start, too.
	Next uint8
}

// The levels of a cluster. Level 1 had the ownership of partitions in their heads.
const (
	MixedLevel  = 2 // some ownerships have keys of their own: heads are being converted, or were until an agent died
	OldestLevel = 3 // all have; the oldest level at which agents of this build serve
	// NewestLevel is the newest level that this build knows. From 4 on agents check levels each
	// time that they register; builds that know only 3 do so when they start.
	NewestLevel = 4

	// ClientMetricsLevel is the level from which there may be subscriptions to clients' metrics:
	// earlier builds take their keys for damaged ones.
	ClientMetricsLevel = 4
)

// clusterVersion is the version of values that have the level in a field of its own.
const clusterVersion = 4

// Encode writes the value. Up to OldestLevel its version is the level, for builds that know no others.
func (c Cluster) Encode() []byte {
	if c.Level <= OldestLevel && c.Next == 0 {
		b := wire.AppendString([]byte{c.Level}, c.ID)
		return binary.AppendVarint(b, c.Created.UnixMilli())
	}
	b := wire.AppendString([]byte{clusterVersion}, c.ID)
	b = binary.AppendVarint(b, c.Created.UnixMilli())
	return append(b, c.Level, c.Next)
}

// DecodeCluster reads what Encode writes.
func DecodeCluster(b []byte) (c Cluster, err error) {
	if len(b) > 0 && b[0] > clusterVersion {
		return c, &ValueError{"cluster", fmt.Errorf("a newer build has written it in version %d, this build reads 1 to %d", b[0], clusterVersion)}
	}
	err = decode("cluster", clusterVersion, b, func(r *wire.Reader) {
		c.Level = b[0]
		c.ID = r.String()
		c.Created = time.UnixMilli(r.Varint())
		if b[0] == clusterVersion {
			c.Level, c.Next = r.U8(), r.U8()
		}
	})
	return c, err
}

// Levels are the levels that an agent's build knows.
type Levels struct{ Min, Max uint8 }

// Known are the levels that this build knows.
func Known() Levels { return Levels{OldestLevel, NewestLevel} }

// Check returns an error if an agent that knows these levels can't be in the cluster.
func (l Levels) Check(c Cluster) error {
	switch {
	case c.Level < l.Min:
		return fmt.Errorf("the cluster is at level %d, this build knows %v: finalize the cluster with an earlier build first", c.Level, l)
	case c.Level > l.Max:
		return fmt.Errorf("the cluster was finalized at level %d, this build knows %v: use a newer build", c.Level, l)
	case c.Next > l.Max:
		return fmt.Errorf("the cluster is being finalized at level %d, this build knows %v: use a newer build, or run 'varve cluster finalize' again to end that", c.Next, l)
	}
	return nil
}

func (l Levels) String() string { return fmt.Sprintf("%d to %d", l.Min, l.Max) }

// Encode writes the value.
func (l Levels) Encode() []byte { return []byte{1, l.Min, l.Max} }

// DecodeLevels reads what Encode writes.
func DecodeLevels(b []byte) (l Levels, err error) {
	err = decode("levels", 1, b, func(r *wire.Reader) { l.Min, l.Max = r.U8(), r.U8() })
	return l, err
}
