package replica

import (
	"context"
	"encoding/binary"
	"time"

	"varve/internal/id"
)

// probePatience is how long an agent that is asked about another waits for that one: less
// than its caller waits.
const probePatience = 400 * time.Millisecond

// Probe asks one store's agent which incarnation serves another store now, as it sees it: an
// agent that can't be reached from here may be reached from there.
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
