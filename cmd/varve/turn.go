package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"varve/health"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// turnTTL is how long after the death of its holder the lock of turns is released.
const turnTTL = 15 * time.Second

// settledFor is how many answers in a row have to be good: an agent that has just come back
// may not be counted everywhere yet.
const settledFor = 2

// turn is one agent's turn to be interrupted. It serializes what interrupts agents, by a lock in etcd.
type turn struct {
	store    metadata.Store
	broker   int32
	http     string // the agent to ask; "": those that etcd names
	lockOnly bool
	limit    time.Duration // of each wait for health
	said     io.Writer     // for people
	last     string        // what was said last
}

// take does something when it is the agent's turn.
func (t *turn) take(ctx context.Context, do func(context.Context) error) error {
	agents, err := t.agents(ctx)
	if err != nil {
		return err
	}
	if _, runs := agents[id.Broker(t.broker)]; runs || t.lockOnly {
		release, err := t.begin(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := do(ctx); err != nil || t.lockOnly {
		return err
	}
	return t.await(ctx, "after", t.settled, settledFor)
}

// begin takes the lock, waits until the agent may be interrupted, and returns what releases the lock. A lock that was
// lost meanwhile, as etcd could not be reached, may be another agent's by now: then it is taken anew.
func (t *turn) begin(ctx context.Context) (release func(), err error) {
	for {
		lease, release, err := t.lock(ctx)
		if err != nil {
			return nil, fmt.Errorf("take the lock: %w", err)
		}
		if t.lockOnly {
			return release, nil
		}
		held := false
		if err = t.await(ctx, "before", t.mayGo, 1); err == nil {
			held, err = t.holds(ctx, lease)
		}
		if held {
			return release, nil
		}
		release()
		if err != nil {
			return nil, err
		}
		t.say("the lock was lost while this host waited; taking it again")
	}
}

// holds reports whether a lease still has the lock.
func (t *turn) holds(ctx context.Context, lease metadata.Lease) (bool, error) {
	kv, err := t.store.Get(ctx, schema.KeyTurn)
	if errors.Is(err, metadata.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the lock: %w", err)
	}
	return kv.Lease == lease, nil
}

// lock takes the lock, and returns the lease that has it and what releases it.
func (t *turn) lock(ctx context.Context) (metadata.Lease, func(), error) {
	session, err := t.store.Session(ctx, turnTTL)
	if err != nil {
		return 0, nil, err
	}
	release := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnTTL)
		defer cancel()
		if err := session.Close(ctx); err != nil {
			t.say("the lock is released in %v: %v", turnTTL, err)
		}
	}
	if err := t.acquire(ctx, session.Lease()); err != nil {
		release()
		return 0, nil, err
	}
	return session.Lease(), release, nil
}

// acquire writes the lock's key as soon as nobody has it.
func (t *turn) acquire(ctx context.Context, lease metadata.Lease) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	host := hostname()
	mine := fmt.Sprintf("agent %d on %s (process %d)", t.broker, host, os.Getpid())
	for batch := range t.store.Watch(ctx, schema.KeyTurn) {
		holder := ""
		for _, e := range batch.Events {
			if e.KV.Key == schema.KeyTurn && e.Type == metadata.EventPut {
				holder = string(e.KV.Value)
			} else if e.KV.Key == schema.KeyTurn {
				holder = ""
			}
		}
		if holder != "" {
			t.say("waiting: it is the turn of %s", holder)
			continue
		}
		_, err := t.store.Txn(ctx, []metadata.Guard{{Key: schema.KeyTurn}}, metadata.PutLeased(schema.KeyTurn, []byte(mine), lease))
		if errors.Is(err, metadata.ErrConflict) {
			continue // the watch tells who has it, and when it is free
		}
		return err
	}
	return ctx.Err()
}

// agents returns the agents that are alive.
func (t *turn) agents(ctx context.Context) (map[id.Broker]schema.Agent, error) {
	all, _, err := t.store.List(ctx, schema.PrefixAgents)
	if err != nil {
		return nil, fmt.Errorf("list the agents: %w", err)
	}
	agents := map[id.Broker]schema.Agent{}
	for _, kv := range all {
		broker, err := schema.ParseAgentKey(kv.Key)
		if err != nil {
			return nil, err
		}
		if agents[broker], err = schema.DecodeAgent(kv.Value); err != nil {
			return nil, fmt.Errorf("agent %v: %w", broker, err)
		}
	}
	return agents, nil
}

// await waits until answers of the cluster's health have nothing to say against it, so many in a row.
func (t *turn) await(ctx context.Context, when string, against func(*health.Answer) string, inARow int) error {
	late, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	last := "no agent answers"
	for good := 0; ; {
		why := t.ask(late, against)
		if why == "" {
			if good++; good >= inARow {
				return nil
			}
		} else if good = 0; late.Err() == nil {
			t.say("waiting %s the command: %s", when, why)
			last = why
		}
		if backoff.Sleep(late, watchEvery) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return latef("the cluster is not well enough after %v, %s the command: %s. 'varve cluster health' says more; --timeout waits longer", t.limit, when, last)
		}
	}
}

// ask returns what speaks against it, as the first agent says that answers.
func (t *turn) ask(ctx context.Context, against func(*health.Answer) string) string {
	addrs := []string{t.http}
	if t.http == "" {
		agents, err := t.agents(ctx)
		if err != nil {
			return err.Error()
		}
		addrs = t.addresses(agents)
	}
	why := "no agent is alive"
	for _, addr := range addrs {
		a, err := askHealth(ctx, addr)
		if err == nil {
			return against(a)
		}
		why = err.Error()
	}
	return why
}

// addresses returns where agents can be asked, this host's last: it is the one that is interrupted.
func (t *turn) addresses(agents map[id.Broker]schema.Agent) (addrs []string) {
	var brokers []id.Broker
	for b := range agents {
		brokers = append(brokers, b)
	}
	slices.SortFunc(brokers, func(a, b id.Broker) int {
		own := id.Broker(t.broker)
		switch {
		case a == own:
			return 1
		case b == own:
			return -1
		}
		return int(a - b)
	})
	for _, b := range brokers {
		addrs = append(addrs, agents[b].HTTP)
	}
	return addrs
}

// alone reports whether the cluster has one agent only: then nobody is there to wait for.
func alone(a *health.Answer) bool { return a.AgentsExpected <= 1 && a.AgentsLive <= 1 }

// mayGo returns why the agent may not be interrupted; "": it may.
func (t *turn) mayGo(a *health.Answer) string {
	if alone(a) {
		return ""
	}
	if !a.EtcdAwaySince.IsZero() {
		return "etcd does not answer"
	}
	why := ""
	for _, x := range a.Agents {
		switch {
		case x.State == "stopped" && x.Drained: // for good
		case x.Broker == t.broker && !x.MayStop:
			why = x.Why
		case x.Broker != t.broker && x.State != "serving":
			return fmt.Sprintf("agent %d is %s", x.Broker, x.State)
		}
	}
	return why
}

// settled returns why it isn't another agent's turn yet; "": it is.
func (t *turn) settled(a *health.Answer) string {
	state := "not registered"
	for _, x := range a.Agents {
		if x.Broker == t.broker {
			state = x.State
		}
	}
	switch {
	case state != "serving":
		return fmt.Sprintf("agent %d is %s", t.broker, state)
	case alone(a):
		return ""
	case !a.EtcdAwaySince.IsZero():
		return "etcd does not answer"
	case !a.MayStop:
		return a.MayStopWhy
	}
	return ""
}

// say tells what is waited for, once.
func (t *turn) say(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != t.last {
		t.last = text
		fmt.Fprintln(t.said, "varve: "+text)
	}
}
