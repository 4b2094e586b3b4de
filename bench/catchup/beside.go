package main

import (
	"context"
	"errors"
	"sync"

	"varve/s3store"
)

// beside measures producers at a steady rate, in turns alone, while someone reads
// the history through the agent again and again, and while someone reads the same
// objects past the agent: what the processors that all share cost by themselves.
func (a *agent) beside(ctx context.Context, store s3store.Store, rounds int) error {
	through := func(ctx context.Context) error {
		_, err := a.bench(ctx, "rawfetch", "-t", "history", "-d", "60s")
		return err
	}
	past := func(ctx context.Context) error {
		_, _, err := rawGets(ctx, store)
		return err
	}
	for range rounds {
		line, err := a.paced(ctx)
		if err != nil {
			return err
		}
		note("p99-alone", line)
		if err := a.pacedWhile(ctx, "p99-beside", through); err != nil {
			return err
		}
		if err := a.pacedWhile(ctx, "p99-past", past); err != nil {
			return err
		}
	}
	return nil
}

// pacedWhile measures producers while other is repeated.
func (a *agent) pacedWhile(ctx context.Context, name string, other func(context.Context) error) error {
	reading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var readErr error
	wg.Go(func() {
		for reading.Err() == nil && readErr == nil {
			if err := other(reading); reading.Err() == nil {
				readErr = err
			}
		}
	})
	line, err := a.paced(ctx)
	stop()
	wg.Wait()
	if err = errors.Join(err, readErr); err == nil {
		note(name, line)
	}
	return err
}

func (a *agent) paced(ctx context.Context) (string, error) {
	return a.bench(ctx, "produce", "-t", "paced", "--rate", "1000", "--linger", "0s", "-d", "5s")
}
