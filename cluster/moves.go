package cluster

import (
	"errors"
	"fmt"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Move is a move that is under way: the owner is to give the partition to To.
type Move struct {
	schema.Move
	Mod metadata.Revision
}

// ErrNoAgent: no live agent has the broker id, or it takes nothing.
var ErrNoAgent = errors.New("no such agent is alive")

// ErrUnknownAgent is the ErrNoAgent of a broker id that no live agent has.
var ErrUnknownAgent = Refuse(ErrNoAgent, "no such agent is alive")

// ErrNoLoss: there is no loss to accept: the journal isn't known, its writer lives, or a
// live agent has all of it.
var ErrNoLoss = errors.New("no loss to accept")

// Moves returns the moves that are under way.
func (v *View) Moves() map[id.Partition]Move {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.moves.copied()
}

// Drained returns the agents that are to own nothing, dead or alive.
func (v *View) Drained() map[id.Broker]bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.drained.copied()
}

// Loads returns what the live agents last said that they have to do.
func (v *View) Loads() map[id.Broker]schema.Load {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.mu.loads.copied()
}

// Taker returns the live agent that could be given something: neither leaving nor
// drained. Otherwise it returns an ErrNoAgent with the reason.
func (v *View) Taker(b id.Broker) (Live, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.mu.agents.rows[b]
	switch {
	case !ok:
		return a, fmt.Errorf("broker %d: %w", b, ErrUnknownAgent)
	case a.Leaving:
		return a, Refuse(ErrNoAgent, "broker %d is stopping", b)
	case v.mu.drained.rows[b]:
		return a, Refuse(ErrNoAgent, "broker %d is drained", b)
	}
	return a, nil
}

func decodeMove(_ id.Partition, kv metadata.KV) (Move, error) {
	m, err := schema.DecodeMove(kv.Value)
	return Move{m, kv.Mod}, err
}

// decodeDrained needs no value: the key is there.
func decodeDrained(id.Broker, metadata.KV) (bool, error) { return true, nil }
