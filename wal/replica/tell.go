package replica

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
)

// MaxTold bounds what an agent tells another.
const MaxTold = 16 << 20

// errNothingToTell: there is no Deps.Tell.
var errNothingToTell = errors.New("this agent tells nothing")

// Tell asks the agent that has a store for its Deps.Tell; this agent too. The
// meaning of what, and of the answer, is the agents' own.
func (ps *Peers) Tell(ctx context.Context, s id.Store, what uint32) ([]byte, error) {
	b, err := ps.call(ctx, s, &request{verb: verbTell, n: what})
	if err == nil && len(b) > MaxTold {
		return nil, fmt.Errorf("store %v: told %d bytes, %d are allowed: %w", s, len(b), MaxTold, errFrame)
	}
	return b, err
}

func (l *local) tell(ctx context.Context, q *request) ([]byte, error) {
	if l.deps.Tell == nil {
		return nil, errNothingToTell
	}
	b, err := l.deps.Tell(ctx, q.n)
	if err == nil && len(b) > MaxTold {
		return nil, fmt.Errorf("%d bytes are to be told, %d are allowed", len(b), MaxTold)
	}
	return b, err
}
