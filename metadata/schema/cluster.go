package schema

import (
	"encoding/binary"
	"fmt"
	"time"

	"varve/internal/wire"
)

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
