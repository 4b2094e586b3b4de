package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"varve/admin"
	"varve/cluster"
	"varve/controller"
	"varve/internal/id"
)

// Balance asks for the moves after which all agents have equally many partitions.
func (c *console) Balance(ctx context.Context) (*admin.Balanced, error) {
	to := controller.Level(c.view)
	if err := c.editor.ChangeMoves(ctx, to); err != nil {
		return nil, err
	}
	c.log.Info("balancing requested by an operator", "moves", len(to), "client", admin.Client(ctx))
	return &admin.Balanced{Moves: len(to)}, nil
}

// Drain makes an agent own nothing, or, if undone, something again.
func (c *console) Drain(ctx context.Context, broker int32, drained bool) error {
	_, live := c.view.Agent(id.Broker(broker))
	_, known := c.view.Members()[id.Broker(broker)]
	switch {
	case drained && !live:
		return fmt.Errorf("broker %d: %w", broker, cluster.ErrUnknownAgent)
	case !live && !known && !c.view.Drained()[id.Broker(broker)]:
		return cluster.Refuse(cluster.ErrUnknownAgent, "agent %d is not known", broker)
	}
	if err := c.editor.SetDrained(ctx, id.Broker(broker), drained); err != nil {
		return err
	}
	c.log.Info("agent changed by an operator", "broker", broker, "drained", drained, "client", admin.Client(ctx))
	return nil
}

// Forget ends the waiting for an agent that won't come back.
func (c *console) Forget(ctx context.Context, broker int32) error {
	if err := c.editor.Forget(ctx, id.Broker(broker)); err != nil {
		return err
	}
	c.log.Info("agent forgotten by an operator", "broker", broker, "client", admin.Client(ctx))
	return nil
}

// Finalize raises the cluster's level.
func (c *console) Finalize(ctx context.Context, level uint8, dryRun bool) (*admin.Finalized, error) {
	if level == 0 {
		level = c.view.Levels.Known.Max
	}
	before, err := c.editor.Finalize(ctx, level, dryRun)
	if err != nil {
		return nil, err
	}
	if !dryRun && before != level {
		c.log.Info("cluster finalized by an operator", "before", before, "level", level, "client", admin.Client(ctx))
	}
	return &admin.Finalized{Before: int(before), Level: int(level), DryRun: dryRun}, nil
}

// MovePartition asks a partition's owner to give it to another agent.
func (c *console) MovePartition(ctx context.Context, topic string, index, to int32) error {
	at, err := c.partitionOf(topic, index)
	if err != nil {
		return err
	}
	if _, err := c.view.Taker(id.Broker(to)); err != nil {
		return err
	}
	heir := id.Broker(to)
	if o, ok := c.view.Owner(at); ok && o.Broker == heir {
		heir = id.NoBroker // it is there
	}
	c.log.Info("move requested by an operator", "topic", topic, "partition", index, "to", to, "client", admin.Client(ctx))
	return c.editor.ChangeMoves(ctx, map[id.Partition]id.Broker{at: heir})
}

// Undelete brings a deleted topic back within the undelete window.
func (c *console) Undelete(ctx context.Context, name string) error {
	t, err := c.editor.Undelete(ctx, name, c.cfg.Garbage.UndeleteWindow)
	if err != nil {
		return err
	}
	c.log.Info("topic undeleted", "topic", name, "id", t.ID, "client", admin.Client(ctx))
	return nil
}

// LogLevel is the level of this agent's log.
func (c *console) LogLevel() slog.Level {
	if c.deps.LogLevel == nil {
		return slog.LevelInfo
	}
	return c.deps.LogLevel.Level()
}

// SetLogLevel changes it until the next start.
func (c *console) SetLogLevel(ctx context.Context, to slog.Level) error {
	if c.deps.LogLevel == nil {
		return errors.New("the log's level can't be changed: this process didn't say how")
	}
	was := c.LogLevel()
	c.deps.LogLevel.Set(min(was, to, slog.LevelInfo)) // the line must be logged, whichever the levels are
	c.log.Info("log level changed by an operator", "before", was, "level", to, "client", admin.Client(ctx))
	c.deps.LogLevel.Set(to)
	return nil
}
