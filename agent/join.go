package agent

import (
	"context"

	"varve/auth/token"
	"varve/broker"
	"varve/cluster"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// member is what makes this agent one of the cluster.
type member struct {
	id       string // the cluster's
	inc      id.Incarnation
	reg      *registration
	heads    *metadata.Writer
	view     *cluster.View
	editor   *cluster.Editor
	secret   []byte               // schema.Security's; nil: no listener needs it
	bearer   broker.BearerCheck   // nil: no listener needs it
	kerberos broker.KerberosCheck // nil: no listener needs it
	tokens   *token.Issuer        // nil: there are no delegation tokens
}

// join takes an incarnation and a session, and waits for the cluster's picture.
func (a *Agent) join(ctx, life context.Context) error {
	answers, err := a.bucket.join(ctx)
	if err != nil {
		return err
	}
	m := new(member)
	if m.id, err = ensureCluster(ctx, a.deps.Meta, a.random, a.deps.Now(), a.deps.Levels.Max); err != nil {
		return err
	}
	e := &entry{a.process, m.id, a.store.ID()}
	if err := e.checkCluster(); err != nil {
		return err
	}
	if err := a.convertMetadata(ctx); err != nil {
		return err
	}
	if answers {
		if err := a.bucket.finish(ctx); err != nil {
			return err
		}
	}
	if err := e.evictFormerSelf(ctx); err != nil {
		return err
	}
	last, err := metadata.Add(ctx, a.deps.Meta, schema.KeyIncarnation, 1)
	if err != nil {
		return err
	}
	m.inc = id.Incarnation(last + 1)
	if m.reg, err = newRegistration(ctx, a.process, m.inc, a.seen, a.describe); err != nil {
		return err
	}
	writing := metadata.DefaultWriterConfig()
	writing.Random = a.random.Split()
	m.heads = metadata.NewWriter(a.deps.Meta, writing, a.log.With("part", "metadata"), a.deps.Registry)
	m.view = cluster.NewView(a.deps.Meta, a.log)
	m.view.Levels.Known = a.deps.Levels
	m.editor = cluster.NewEditor(m.view, a.deps.Meta, a.random.Split())
	a.member = m
	a.run(func() { m.view.Run(life) })
	select {
	case <-m.view.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// register shows the agent to the others, and so to clients, and keeps it shown.
func (a *Agent) register(ctx, life context.Context) error {
	rev, err := a.reg.announce(ctx)
	if err != nil {
		return err
	}
	a.run(func() { a.reg.keep(life) })
	return a.view.Await(ctx, schema.PrefixAgents, rev)
}

// describe returns what the others learn of this agent.
func (a *Agent) describe() schema.Agent {
	return schema.Agent{Store: a.store.ID(), Rack: a.cfg.Rack, Version: a.deps.Version, HTTP: a.advertisedHTTP(), Endpoints: a.doors.endpoints, Peer: a.doors.peerAddr}
}
