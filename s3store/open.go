package s3store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Open checks the configuration and opens the store with all its decorators:
// prefix, metrics, deadlines, retries, and Adapt. It makes no request; Probe
// does, and teaches the store what it found. The registerer may be nil.
func Open(ctx context.Context, config Config, log *slog.Logger, registerer prometheus.Registerer) (Store, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("s3store config: %w", err)
	}
	base := driverBase{new(serverClock), log, time.Now}
	store, err := openDriver(ctx, config, base)
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
	adapted.clock, adapted.ruler = base.clock, rules
	if p := strings.TrimSuffix(config.Prefix, "/"); p != "" {
		adapted.prefix = p + "/"
	}
	return adapted, nil
}

// driverBase is what a driver works with.
type driverBase struct {
	clock *serverClock // of the store
	log   *slog.Logger
	now   func() time.Time
}

func openDriver(ctx context.Context, config Config, base driverBase) (Store, error) {
	switch config.Driver {
	case DriverAWS:
		return openAWS(ctx, config, base)
	case DriverMinIO:
		return openMinIO(config, base)
	case DriverDir:
		return openDir(config.Directory)
	}
	return NewMemory(), nil
}
