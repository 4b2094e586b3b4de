package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/metadata"
)

// confirmPatience bounds the wait for the metadata store's answer.
const confirmPatience = 2 * time.Second

// confirm asks the metadata store whether the slot was still this coordinator's at a
// moment after the call. ErrNotCoordinator if it was not, ErrAway if nobody
// says. All who ask while a question is under way share the next one.
func (s *slot) confirm(ctx context.Context) error {
	if s.guard.Key == "" {
		return nil
	}
	answer := make(chan error, 1)
	err := s.send(ctx, func() {
		s.unsure = append(s.unsure, answer)
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

// question asks for all who are unsure, one question at a time. It is the slot's
// goroutine's, which takes every answer before it ends.
func (s *slot) question() {
	if s.asking || len(s.unsure) == 0 {
		return
	}
	askers := s.unsure
	s.unsure, s.asking = nil, true
	s.fly(func() func() {
		err := s.stillOurs()
		return func() {
			for _, a := range askers {
				a <- err // has room for it
			}
			s.asking = false
			s.question()
		}
	})
}

func (s *slot) stillOurs() error {
	ctx, cancel := s.c.patient(s.ctx)
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
