package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcd keeps what every key held before, until it is compacted: without that its
// database grows to its quota, and then it refuses all writes.

// Tidier is a Store that has such a history; KeepHistory calls it.
type Tidier interface {
	// Compact makes the store forget what keys held before a revision. A watch that is
	// further behind gets a Reset.
	Compact(ctx context.Context, rev Revision) error
	// Reclaim reports whether the store refused writes for want of room. If so, its history
	// is gone now, its files are smaller, and it takes writes again.
	Reclaim(ctx context.Context) (bool, error)
}

// KeepHistory bounds the history of a store to what is younger than age, or little more,
// while mine returns true, until ctx ends. One process of a cluster should do it; several do
// no harm. A store without history, or an age of 0, needs nothing.
func KeepHistory(ctx context.Context, store Store, age time.Duration, mine func() bool, log *slog.Logger) {
	t, ok := store.(Tidier)
	if !ok || age == 0 {
		return
	}
	tick := time.NewTicker(age / 2)
	defer tick.Stop()
	var marks []mark
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !mine() {
			marks = nil
			continue
		}
		if full, err := t.Reclaim(ctx); err != nil {
			log.Error("etcd is full, and room could not be made", "err", err)
		} else if full {
			log.Warn("etcd was full: its history was dropped and its database defragmented; it takes writes again")
		}
		_, rev, err := store.List(ctx, greeting)
		if err != nil {
			continue // an outage has its own log line
		}
		now := time.Now()
		marks = append(marks, mark{now, rev})
		for len(marks) > 1 && now.Sub(marks[1].at) >= age {
			marks = marks[1:]
		}
		if now.Sub(marks[0].at) < age {
			continue
		}
		if err := t.Compact(ctx, marks[0].rev); err != nil {
			log.Warn("etcd's history could not be compacted", "err", err)
			continue
		}
		marks = marks[1:]
	}
}

// mark records the store's revision at a time.
type mark struct {
	at  time.Time
	rev Revision
}

// Compact implements Tidier.
func (s *etcdStore) Compact(ctx context.Context, rev Revision) error {
	return s.call(ctx, "compact", func(ctx context.Context) error {
		_, err := s.client.Compact(ctx, int64(rev))
		if errors.Is(err, rpctypes.ErrCompacted) { // by someone else
			return nil
		}
		return err
	})
}

// reclaimTime bounds one request that works through the whole database.
const reclaimTime = 5 * time.Minute

// Reclaim implements Tidier. All servers at the endpoints are defragmented, one after
// another: each answers nothing meanwhile, about a second for each 100 MB.
func (s *etcdStore) Reclaim(ctx context.Context) (bool, error) {
	var alarms []*pb.AlarmMember
	err := s.call(ctx, "alarms", func(ctx context.Context) error {
		answer, err := s.client.AlarmList(ctx)
		if err == nil {
			alarms = noSpace(answer.Alarms)
		}
		return err
	})
	if err != nil || len(alarms) == 0 {
		return false, nil // what can't be asked is shown by other requests
	}
	s.log.Warn("etcd has reached its quota and takes no writes; dropping its history")
	_, rev, err := s.List(ctx, greeting)
	if err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, reclaimTime)
	defer cancel()
	if _, err := s.client.Compact(ctx, int64(rev), clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return true, fmt.Errorf("compact etcd: %w", mapError(ctx, err))
	}
	if err := s.defragment(ctx); err != nil {
		return true, err
	}
	for _, a := range alarms {
		if _, err := s.client.AlarmDisarm(ctx, (*clientv3.AlarmMember)(a)); err != nil {
			return true, fmt.Errorf("end etcd's alarm: %w", mapError(ctx, err))
		}
	}
	return true, nil
}

// defragment makes each server give back the room that it doesn't use. It takes a connection
// also to an etcd in this process, whose client without one can't do it.
func (s *etcdStore) defragment(ctx context.Context) error {
	client, err := dial(ctx, ctx, s.cfg, s.log)
	if err != nil {
		return fmt.Errorf("defragment etcd: %w", mapError(ctx, err))
	}
	defer client.Close()
	for _, e := range s.cfg.Endpoints {
		if _, err := client.Defragment(ctx, e); err != nil {
			return fmt.Errorf("defragment etcd at %s: %w", e, mapError(ctx, err))
		}
	}
	return nil
}

// noSpace picks the alarms of a full database.
func noSpace(alarms []*pb.AlarmMember) (out []*pb.AlarmMember) {
	for _, a := range alarms {
		if a.Alarm == pb.AlarmType_NOSPACE {
			out = append(out, a)
		}
	}
	return out
}
