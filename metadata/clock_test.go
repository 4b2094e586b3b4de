package metadata_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"varve/internal/testserver"
	"varve/metadata"
)

// TestEtcdTellsItsClock: also when the first server is away; and not when all are.
func TestEtcdTellsItsClock(t *testing.T) {
	t.Parallel()
	e := testserver.Etcd(t, testserver.EtcdOptions{})
	cfg := realConfig(e)
	cfg.Endpoints = append([]string{"http://127.0.0.1:1"}, cfg.Endpoints...)
	s, err := metadata.Open(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	clock := s.(interface {
		Clock(ctx context.Context) (time.Time, error)
	})
	before := time.Now()
	at, err := clock.Clock(t.Context())
	if err != nil || at.Before(before.Add(-2*time.Second)) || at.After(time.Now().Add(2*time.Second)) {
		t.Errorf("%v beside %v: %v", at, before, err)
	}
	if err := e.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := clock.Clock(t.Context()); !errors.Is(err, metadata.ErrUnavailable) {
		t.Errorf("without etcd: %v", err)
	}
}
