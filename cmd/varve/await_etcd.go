package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/metadata"
)

// sayEvery is how often an agent that waits for etcd logs it.
const sayEvery = 10 * time.Second

// etcdWait waits for etcd when an agent starts.
type etcdWait struct {
	log   *slog.Logger
	said  time.Time
	store metadata.Store
}

// open returns when etcd has answered, or with an error if it refuses this agent.
func (w *etcdWait) open(ctx context.Context, cfg metadata.Config, reg prometheus.Registerer) (metadata.Store, error) {
	began := time.Now()
	endpoints := strings.Join(cfg.Endpoints, ", ")
	var err error
	w.store, err = metadata.Await(ctx, cfg, w.log.With("part", "metadata"), reg, func(err error) error {
		if time.Since(w.said) >= sayEvery {
			w.said = time.Now()
			w.log.Warn("waiting for etcd; check that it runs and that etcd.endpoints is right", "endpoints", endpoints, "waited", time.Since(began).Round(time.Second), "err", err)
		}
		return nil
	})
	if err == nil && !w.said.IsZero() {
		w.log.Info("etcd answers", "endpoints", endpoints, "waited", time.Since(began).Round(time.Millisecond))
	}
	return w.store, err
}

func (w *etcdWait) close() {
	if w.store != nil {
		w.store.Close()
	}
}
