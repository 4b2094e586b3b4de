package replica

import (
	"context"
	"encoding/binary"
	"time"

	"varve/internal/id"
)

// probePatience is how long a store that is asked about another waits for that one: less
// than the one that asks waits.
const probePatience = 400 * time.Millisecond

// Probe asks one store's agent which incarnation it finds serving another store now: the one that
// can't be reached from here may be from there.
func (ps *Peers) Probe(ctx context.Context, via, s id.Store) (id.Incarnation, error) {
	q := request{verb: verbProbe, a: binary.BigEndian.Uint64(s[:8]), b: binary.BigEndian.Uint64(s[8:])}
	i, err := readU64(ps.call(ctx, via, &q))
	return id.Incarnation(i), err
}

// store is the one that a probe is about.
func (q *request) store() (s id.Store) {
	binary.BigEndian.PutUint64(s[:8], q.a)
	binary.BigEndian.PutUint64(s[8:], q.b)
	return s
}
