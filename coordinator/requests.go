package coordinator

import (
	"context"
	"errors"
)

// Ask brings an event to a machine and waits for the answer to its ticket, or for the end
// of ctx.
func Ask[R any](ctx context.Context, c *Coordinator, key string, event func(Ticket) Event) (r R, err error) {
	answers := make(chan any, 1)
	s, err := c.run(ctx, key, func(s *slot, e *entry) { s.step(e, event(s.calls.ticket(answers))) })
	if err != nil {
		return r, err
	}
	select {
	case a := <-answers:
		return a.(R), nil
	case <-s.done:
	case <-ctx.Done():
		return r, ctx.Err()
	}
	select {
	case a := <-answers: // the slot's last
		return a.(R), nil
	default:
		return r, ErrNotCoordinator
	}
}

// Tell brings an event without a ticket to a machine.
func (c *Coordinator) Tell(ctx context.Context, key string, e Event) error {
	_, err := c.run(ctx, key, func(s *slot, to *entry) { s.step(to, e) })
	return err
}

// Confirm asks the metadata store whether this agent still owned a machine's slot at some
// time after the call, so that what was read of the machine was true then. It returns
// ErrNotCoordinator if the agent was replaced, and ErrAway if the store doesn't answer.
type Confirm func(ctx context.Context) error

// Look reads something of a machine, which must be an M; one that is not there is a new one.
func Look[M Machine, R any](ctx context.Context, c *Coordinator, key string, read func(M) R) (r R, confirm Confirm, err error) {
	seen := make(chan R, 1)
	s, err := c.run(ctx, key, func(_ *slot, e *entry) { seen <- read(e.m.(M)) })
	if err != nil {
		return r, nil, err
	}
	return <-seen, s.confirm, nil
}

// run lets the owner of a machine do something with it once it is in memory, and returns
// the owner.
func (c *Coordinator) run(ctx context.Context, key string, do func(*slot, *entry)) (*slot, error) {
	s, err := c.slot(key)
	if err != nil {
		return nil, err
	}
	c.use()
	began := make(chan error, 1)
	t := task{run: func(e *entry) {
		do(s, e)
		began <- nil
	}, fail: func(err error) { began <- err }}
	if err := s.send(ctx, func() { s.start(key, t) }); err != nil {
		return nil, err
	}
	select {
	case err := <-began:
		return s, err
	case <-s.done:
		return nil, ErrNotCoordinator
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Survey shows what is known of each machine of this agent, without reading anything: the
// machine itself if it is in memory, else its summary. It doesn't prove which agent coordinates
// them. It returns what show returns of those that show chooses, in no order.
func Survey[R any](ctx context.Context, c *Coordinator, show func(key string, m Machine, summary any) (R, bool)) (all []R, err error) {
	for _, s := range c.owned() {
		part := make(chan []R, 1)
		err := s.send(ctx, func() { part <- survey(s, show) })
		if errors.Is(err, ErrNotCoordinator) {
			continue // given up meanwhile
		}
		if err != nil {
			return nil, err
		}
		select {
		case p := <-part:
			all = append(all, p...)
		case <-s.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

func survey[R any](s *slot, show func(string, Machine, any) (R, bool)) (all []R) {
	for key, e := range s.entries {
		if r, chosen := show(key, e.m, e.summary); chosen {
			all = append(all, r)
		}
	}
	return all
}
