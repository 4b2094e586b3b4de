package main

import (
	"context"
	"errors"
	"sync"
)

// beside measures producers at a steady rate, in turns alone and while somebody
// reads the history from the bucket again and again.
func (a *agent) beside(ctx context.Context, rounds int) error {
	for range rounds {
		line, err := a.paced(ctx)
		if err != nil {
			return err
		}
		note("p99-alone", line)
		reading, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		var readErr error
		wg.Go(func() {
			for reading.Err() == nil && readErr == nil {
				if _, err := a.bench(reading, "rawfetch", "-t", "history", "-d", "60s"); reading.Err() == nil {
					readErr = err
				}
			}
		})
		line, err = a.paced(ctx)
		stop()
		wg.Wait()
		if err = errors.Join(err, readErr); err != nil {
			return err
		}
		note("p99-beside", line)
	}
	return nil
}

func (a *agent) paced(ctx context.Context) (string, error) {
	return a.bench(ctx, "produce", "-t", "paced", "--rate", "1000", "--linger", "0s", "-d", "5s")
}
