package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Examination is what etcd tells of itself.
type Examination struct {
	Endpoints []EndpointState // those of the configuration, in its order
	Members   []MemberState   // all that etcd has; empty if it doesn't tell
	Alarms    []string        // such as "NOSPACE of etcd-1", sorted
	Err       error           // why the members or alarms aren't known, though an endpoint answers: without a majority it doesn't tell
}

// EndpointState is one endpoint's answer.
type EndpointState struct {
	Endpoint string
	Err      error // why there is no answer; the rest is zero then
	Took     time.Duration
	Version  string
	Leader   bool // it knows of one
	Learner  bool // it has no vote
	Size     int64
	InUse    int64 // of Size
	Quota    int64 // of Size; 0 if it doesn't tell, which servers before 3.6 don't
	Problems []string
}

// MemberState is a member of etcd's cluster.
type MemberState struct {
	Name    string
	Started bool
	Learner bool
}

// Examine asks each of etcd's endpoints how it is. Reading keys that no one has is all that it
// does. An endpoint gets at most cfg.DialTimeout.
func Examine(ctx context.Context, cfg Config, log *slog.Logger) (Examination, error) {
	if err := cfg.Validate(); err != nil {
		return Examination{}, fmt.Errorf("etcd config: %w", err)
	}
	x := Examination{Endpoints: make([]EndpointState, len(cfg.Endpoints))}
	done := make(chan struct{})
	for i, e := range cfg.Endpoints {
		go func() {
			x.Endpoints[i] = examineOne(ctx, cfg, e, log)
			done <- struct{}{}
		}()
	}
	for range cfg.Endpoints {
		<-done
	}
	if !slices.ContainsFunc(x.Endpoints, func(e EndpointState) bool { return e.Err == nil }) {
		return x, nil
	}
	ctx, cancel := context.WithTimeout(ctx, min(cfg.RequestTimeout, cfg.DialTimeout))
	defer cancel()
	client, err := dial(ctx, ctx, cfg, log)
	if err != nil {
		x.Err = err
		return x, nil
	}
	defer client.Close()
	x.Err = x.members(ctx, client)
	return x, nil
}

// examineOne asks one endpoint.
func examineOne(ctx context.Context, cfg Config, endpoint string, log *slog.Logger) EndpointState {
	e := EndpointState{Endpoint: endpoint}
	cfg.Endpoints = []string{endpoint}
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	e.Err = e.ask(ctx, cfg, log)
	if e.Err != nil && cfg.here == nil {
		if why := unreached(context.WithoutCancel(ctx), cfg); why != nil {
			e.Err = why
		}
	}
	return e
}

func (e *EndpointState) ask(ctx context.Context, cfg Config, log *slog.Logger) error {
	client, err := dial(ctx, ctx, cfg, log)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Get(ctx, cfg.Prefix+greeting, clientv3.WithSerializable()); err != nil { // makes the connection
		return mapError(ctx, err)
	}
	began := time.Now()
	r, err := client.Status(ctx, e.Endpoint)
	if err != nil {
		return mapError(ctx, err)
	}
	e.Took, e.Version, e.Leader, e.Learner = time.Since(began), r.Version, r.Leader != 0, r.IsLearner
	e.Size, e.InUse, e.Quota = r.DbSize, r.DbSizeInUse, r.DbSizeQuota
	for _, p := range r.Errors {
		if !strings.Contains(p, "NOSPACE") && !strings.Contains(p, "CORRUPT") && !strings.Contains(p, "no leader") { // told as alarms and by Leader
			e.Problems = append(e.Problems, p)
		}
	}
	return nil
}

// members adds the members and alarms. Etcd's own authentication may keep alarms to root.
func (x *Examination) members(ctx context.Context, client *clientv3.Client) error {
	list, err := client.MemberList(ctx)
	if err != nil {
		return mapError(ctx, err)
	}
	names := map[uint64]string{}
	for _, m := range list.Members {
		names[m.ID] = m.Name
		x.Members = append(x.Members, MemberState{m.Name, m.Name != "", m.IsLearner})
	}
	alarms, err := client.AlarmList(ctx)
	if err != nil {
		if err = mapError(ctx, err); errors.Is(err, ErrDenied) {
			return nil
		}
		return err
	}
	for _, a := range alarms.Alarms {
		if a.Alarm != pb.AlarmType_NONE {
			x.Alarms = append(x.Alarms, a.Alarm.String()+" of "+names[a.MemberID])
		}
	}
	slices.Sort(x.Alarms)
	return nil
}

// Clocked is a store that tells the time of a server.
type Clocked interface {
	Clock(ctx context.Context) (time.Time, error)
}

var _ Clocked = (*etcdStore)(nil)
