package agent

import (
	"context"
	"fmt"
	"net"
	"slices"

	"varve/admin"
	"varve/internal/id"
)

// web is where this agent answers HTTP.
type web struct {
	server   *admin.Server
	listener net.Listener
}

// openHTTP starts the admin server, if one is configured: before anything that a start
// may have to wait for, so that it can be asked what that is.
func (a *Agent) openHTTP(_, _ context.Context) error {
	if a.cfg.HTTP == "" {
		return nil
	}
	l, err := a.deps.Listen("tcp", a.cfg.HTTP)
	if err != nil {
		return err
	}
	o := admin.Options{Profiles: a.cfg.Pprof, Hosts: append(a.cfg.names(), a.deps.Hostname), Log: a.log.With("part", "http")}
	a.http = &web{admin.New(a, a.deps.Registry, o), l}
	a.run(func() {
		if err := a.http.server.Serve(l); err != nil {
			a.die(fmt.Errorf("http: %w", err))
		}
	})
	return nil
}

// names are the names that the settings give this agent, by which its HTTP may be asked for.
func (c *Config) names() []string {
	addrs := []string{c.HTTP, c.Peer.Bind, c.Peer.Advertised}
	for _, l := range c.Listeners {
		addrs = append(addrs, l.Bind, l.Advertised)
	}
	all := slices.Clone(c.HTTPHosts)
	for _, addr := range addrs {
		if host, _, err := splitAddress(addr); err == nil && host != "" {
			all = append(all, host)
		}
	}
	return all
}

func (a *Agent) closeHTTP(ctx context.Context) {
	if a.http == nil {
		return
	}
	if err := a.http.server.Close(ctx); err != nil {
		a.log.Debug("admin API", "err", err)
	}
}

// stands notes what a start is about, or waits for.
func (a *Agent) stands(at string) { a.awaits.Store(&at) }

// Undelete brings a deleted topic back within the undelete window.
func (a *Agent) Undelete(ctx context.Context, name string) error {
	t, err := a.editor.Undelete(ctx, name, a.cfg.Garbage.UndeleteWindow)
	if err != nil {
		return err
	}
	a.log.Info("topic undeleted", "topic", name, "id", t.ID, "client", admin.Client(ctx))
	return nil
}

// HTTPAddress is where the admin server listens, or "".
func (a *Agent) HTTPAddress() string {
	if a.http == nil {
		return ""
	}
	return a.http.listener.Addr().String()
}

func (a *Agent) withoutLeader() (n int) {
	for _, t := range a.view.Topics() {
		for i := range t.Partitions {
			if _, ok := a.view.Owner(id.Partition{Topic: t.ID, Index: i}); !ok {
				n++
			}
		}
	}
	return n
}

// Status returns the agent's state.
func (a *Agent) Status() *admin.Status {
	s := &admin.Status{Broker: int32(a.self), Incarnation: uint64(a.inc), Cluster: a.id, Version: a.deps.Version, Rack: a.cfg.Rack,
		Partitions: a.owned.Len(), Topics: len(a.view.Topics()), UnservedCount: a.withoutLeader(),
		JournalBytes: a.store.Untrimmed(), JournalPressure: a.store.Pressure(), NotReady: a.NotReady()}
	for _, l := range a.view.Agents() {
		s.Agents = append(s.Agents, int32(l.Broker))
	}
	for _, k := range a.tier.upload.Stuck() {
		name := k.Partition.Topic.String()
		if t, ok := a.view.TopicByID(k.Partition.Topic); ok {
			name = t.Name
		}
		s.Stuck = append(s.Stuck, admin.StuckPartition{Topic: name, Partition: k.Partition.Index, Since: k.Since, Why: k.Err.Error()})
	}
	now := a.millis()
	for _, p := range a.owned.All() {
		bytes, oldest := p.PendingBytes()
		s.UntieredBytes += bytes
		if bytes > 0 {
			s.OldestUntieredMs = max(s.OldestUntieredMs, now-oldest)
		}
		s.TierBytes += p.State().TierBytes
	}
	return s
}
