package s3store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Open checks the configuration and opens the store with all its decorators:
// prefix, metrics, deadlines, retries, and Adapt. It makes no request; Probe
// does, and teaches the store what it found. The registerer may be nil.
func Open(ctx context.Context, config Config, log *slog.Logger, registerer prometheus.Registerer) (Store, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("s3store config: %w", err)
	}
	var clock serverClock
	store, err := openDriver(ctx, config, &clock)
	if err != nil {
		return nil, fmt.Errorf("open s3store driver %s: %w", config.Driver, err)
	}
	rules, _ := store.(ruler)
	if store, err = WithPrefix(store, config.Prefix); err != nil {
		return nil, err
	}
	if store, err = WithMetrics(store, registerer); err != nil {
		return nil, err
	}
	store = WithDeadline(store, config.RequestTimeout, config.StallTimeout)
	store = WithRetry(store, config.Retry, log)
	log.Info("object store opened", "store", config)
	adapted := Adapt(store)
	adapted.clock, adapted.ruler = &clock, rules
	if p := strings.TrimSuffix(config.Prefix, "/"); p != "" {
		adapted.prefix = p + "/"
	}
	return adapted, nil
}

func openDriver(ctx context.Context, config Config, clock *serverClock) (Store, error) {
	switch config.Driver {
	case DriverAWS:
		return openAWS(ctx, config, clock)
	case DriverMinIO:
		return openMinIO(config, clock)
	case DriverDir:
		return openDir(config.Directory)
	}
	return NewMemory(), nil
}
