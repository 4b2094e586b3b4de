package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata"
)

const (
	// confirmPatience bounds the wait for the metadata store's answer.
	confirmPatience = 2 * time.Second
	// awayPatience is how long a request tries a store that is known to be away.
	awayPatience = 50 * time.Millisecond
)

// Patient bounds how long a request waits for the metadata store's answer.
func (c *Coordinator) Patient(ctx context.Context) (context.Context, context.CancelFunc) {
	d := confirmPatience
	if c.away.Load() {
		d = awayPatience
	}
	return context.WithTimeout(ctx, d)
}

// unsure holds the callers of confirm that wait. Only one question to the store is in
// flight at a time.
type unsure struct {
	asking bool
	askers []chan error // wait for the next question
}

// confirm asks the metadata store whether this coordinator still owned the slot at some
// time after the call. It returns ErrNotCoordinator if it did not, and ErrAway if the store
// doesn't answer. Calls made while a question is in flight share the next one.
func (s *slot) confirm(ctx context.Context) error {
	if s.guard.Key == "" {
		return nil
	}
	answer := make(chan error, 1)
	err := s.send(ctx, func() {
		s.unsure.askers = append(s.unsure.askers, answer)
		s.question()
	})
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// question asks for all that are unsure, one question at a time. It is the slot's
// goroutine's, which takes every answer before it ends.
func (s *slot) question() {
	if s.unsure.asking || len(s.unsure.askers) == 0 {
		return
	}
	askers := s.unsure.askers
	s.unsure = unsure{asking: true}
	s.fly(func() func() {
		err := s.stillOurs()
		return func() {
			for _, a := range askers {
				a <- err // has room for it
			}
			s.unsure.asking = false
			s.question()
		}
	})
}

func (s *slot) stillOurs() error {
	ctx, cancel := s.c.Patient(s.ctx)
	defer cancel()
	kv, err := s.c.reader.Get(ctx, s.guard.Key)
	switch {
	case err != nil && !errors.Is(err, metadata.ErrNotFound):
		return fmt.Errorf("confirm slot %d: %w: %w", s.n, ErrAway, err)
	case err != nil || kv.Mod != s.guard.Mod:
		return fmt.Errorf("slot %d has another owner: %w", s.n, ErrNotCoordinator)
	}
	return nil
}
