package agent

import (
	"context"
	"errors"
	"fmt"

	"varve/admin"
	"varve/cluster"
	"varve/controller"
	"varve/internal/id"
)

// Balance asks for the moves after which all agents have equally many partitions.
func (a *Agent) Balance(ctx context.Context) (*admin.Balanced, error) {
	to := controller.Level(a.view)
	if err := a.editor.ChangeMoves(ctx, to); err != nil {
		return nil, err
	}
	a.log.Info("balancing requested by an operator", "moves", len(to), "client", admin.Client(ctx))
	return &admin.Balanced{Moves: len(to)}, nil
}

// Drain makes an agent own nothing, or, if undone, something again.
func (a *Agent) Drain(ctx context.Context, broker int32, drained bool) error {
	if _, live := a.view.Agent(id.Broker(broker)); drained && !live {
		return fmt.Errorf("broker %d: %w", broker, cluster.ErrUnknownAgent)
	}
	if err := a.editor.SetDrained(ctx, id.Broker(broker), drained); err != nil {
		return err
	}
	a.log.Info("agent changed by an operator", "broker", broker, "drained", drained, "client", admin.Client(ctx))
	return nil
}

// Forget ends the waiting for an agent that won't come back.
func (a *Agent) Forget(ctx context.Context, broker int32) error {
	if err := a.editor.Forget(ctx, id.Broker(broker)); err != nil {
		return err
	}
	a.log.Info("agent forgotten by an operator", "broker", broker, "client", admin.Client(ctx))
	return nil
}

// MovePartition asks a partition's owner to give it to another agent.
func (a *Agent) MovePartition(ctx context.Context, topic string, index, to int32) error {
	at, err := a.partitionOf(topic, index)
	if err != nil {
		return err
	}
	if _, err := a.view.Taker(id.Broker(to)); err != nil {
		return err
	}
	heir := id.Broker(to)
	if o, ok := a.view.Owner(at); ok && o.Broker == heir {
		heir = id.NoBroker // it is there
	}
	a.log.Info("move requested by an operator", "topic", topic, "partition", index, "to", to, "client", admin.Client(ctx))
	return a.editor.ChangeMoves(ctx, map[id.Partition]id.Broker{at: heir})
}

// hasStarted reports whether all parts are there.
func (a *Agent) hasStarted() bool {
	select {
	case <-a.started:
		return true
	default:
		return false
	}
}

var errStarting = errors.New("the agent is starting")
