package replica

import (
	"context"
	"errors"
	"fmt"

	"varve/internal/id"
)

// MaxTold bounds what an agent tells another, or gives to it.
const MaxTold = 16 << 20

var (
	errNothingToTell = errors.New("this agent tells nothing") // there is no Deps.Tell
	errTakesNothing  = errors.New("this agent takes nothing") // there is no Deps.Take
)

// Tell asks the agent that has a store for its Deps.Tell; this agent too. The
// meaning of what, and of the answer, is the agents' own.
func (ps *Peers) Tell(ctx context.Context, s id.Store, what uint32) ([]byte, error) {
	return ps.askAgent(ctx, s, &request{verb: verbTell, n: what})
}

// Give hands a body of at most MaxTold bytes to the Deps.Take of the agent that has a store;
// this agent too. The meaning of what, of the body and of the answer is the agents' own. The
// agent may get the body more than once, and also if an error is returned. An agent of a build
// that doesn't know the request closes the connection: the error is ErrUnreachable.
func (ps *Peers) Give(ctx context.Context, s id.Store, what uint32, body []byte) ([]byte, error) {
	if len(body) > MaxTold {
		return nil, fmt.Errorf("store %v: %d bytes are to be given, %d are allowed", s, len(body), MaxTold)
	}
	return ps.askAgent(ctx, s, &request{verb: verbGive, n: what, rest: body})
}

// askAgent asks for what isn't about a store, but about its agent.
func (ps *Peers) askAgent(ctx context.Context, s id.Store, q *request) ([]byte, error) {
	b, err := ps.call(ctx, s, q)
	if err == nil && len(b) > MaxTold {
		return nil, fmt.Errorf("store %v: told %d bytes, %d are allowed: %w", s, len(b), MaxTold, errFrame)
	}
	return b, err
}

func (l *local) tell(ctx context.Context, q *request) ([]byte, error) {
	if l.deps.Tell == nil {
		return nil, errNothingToTell
	}
	return bounded(l.deps.Tell(ctx, q.n))
}

func (l *local) take(ctx context.Context, q *request) ([]byte, error) {
	if l.deps.Take == nil {
		return nil, errTakesNothing
	}
	return bounded(l.deps.Take(ctx, q.n, q.rest))
}

// bounded refuses an answer of more than MaxTold bytes.
func bounded(b []byte, err error) ([]byte, error) {
	if err == nil && len(b) > MaxTold {
		return nil, fmt.Errorf("%d bytes are to be told, %d are allowed", len(b), MaxTold)
	}
	return b, err
}
