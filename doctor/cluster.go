package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/internal/id"
	"varve/internal/say"
	"varve/metadata"
	"varve/metadata/schema"
)

// clusterFacts is what etcd has of the cluster.
type clusterFacts struct {
	id     string // "" if there is none yet
	agents []agentAt
}

// agentAt is an agent that has a session.
type agentAt struct {
	Broker id.Broker
	schema.Agent
}

// askCluster reads which agents there are.
func (x *examination) askCluster(ctx context.Context) (*clusterFacts, error) {
	s, err := metadata.Open(ctx, x.Etcd, x.Log, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	f := new(clusterFacts)
	kv, err := s.Get(ctx, schema.KeyCluster)
	if errors.Is(err, metadata.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := schema.DecodeCluster(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("the cluster's key in etcd: %w", err)
	}
	f.id = c.ID
	kvs, _, err := s.List(ctx, schema.PrefixAgents)
	if err != nil {
		return nil, err
	}
	for _, kv := range kvs {
		b, err := schema.ParseAgentKey(kv.Key)
		if err != nil {
			return nil, err
		}
		a, err := schema.DecodeAgent(kv.Value)
		if err != nil {
			return nil, fmt.Errorf("%s in etcd: %w", kv.Key, err)
		}
		f.agents = append(f.agents, agentAt{b, a})
	}
	return f, nil
}

// others returns all agents but one.
func (f *clusterFacts) others(but id.Broker) []agentAt {
	return slices.DeleteFunc(slices.Clone(f.agents), func(a agentAt) bool { return a.Broker == but })
}

const unknownCluster = "etcd doesn't tell which agents there are; see etcd above"

// versions compares the agents' versions with each other and with this program's.
func versions(ctx context.Context, x *examination) []Finding {
	const name = "versions"
	f, err := x.cluster.get(ctx)
	if err != nil {
		return []Finding{warning(name, unknownCluster, "not compared: %s", word(err))}
	}
	return []Finding{f.versions(name, x.Version)}
}

func (f *clusterFacts) versions(name, own string) Finding {
	by := map[string][]string{own: {"this program"}}
	for _, a := range f.agents {
		by[a.Version] = append(by[a.Version], fmt.Sprintf("agent %v", a.Broker))
	}
	if len(by) == 1 {
		return ok(name, "this program and %s have version %s", say.Count(len(f.agents), "running agent"), own)
	}
	var lines []string
	for v, who := range by {
		lines = append(lines, v+": "+strings.Join(who, ", "))
	}
	slices.Sort(lines)
	return warning(name, "end the upgrade: agents of different versions are for its duration only", "versions differ: %s", strings.Join(lines, "; "))
}

const (
	dialTimes = 3
	roundSlow = 10 * time.Millisecond // a record is acknowledged after a round trip to another agent
	dialLimit = 3 * time.Second
)

// network connects with the other agents as this one would.
func network(ctx context.Context, x *examination) []Finding {
	const name = "network"
	f, err := x.cluster.get(ctx)
	if err != nil {
		return []Finding{warning(name, unknownCluster, "other agents not asked: %s", word(err))}
	}
	others := f.others(x.Broker)
	if len(others) == 0 {
		return []Finding{ok(name, "no other agent runs")}
	}
	found := make([]Finding, len(others))
	done := make(chan struct{})
	for i, a := range others {
		go func() {
			found[i] = x.reach(ctx, name, a)
			done <- struct{}{}
		}()
	}
	for range others {
		<-done
	}
	return found
}

// reach connects with an agent several times.
func (x *examination) reach(ctx context.Context, name string, a agentAt) Finding {
	if a.Peer == "" {
		return warning(name, "set peer.bind and peer.advertised there", "agent %v has no address for other agents", a.Broker)
	}
	var took times
	for range dialTimes {
		ctx, cancel := context.WithTimeout(ctx, dialLimit)
		at := time.Now()
		c, err := x.Dial(ctx, a.Peer)
		cancel()
		if err != nil {
			return failure(name, "check that firewalls let agents connect with each other there, that peer.advertised of that agent is right, and peer.tls of both", "agent %v at %s: %s", a.Broker, a.Peer, word(err))
		}
		took = append(took, time.Since(at))
		c.Close()
	}
	text := fmt.Sprintf("agent %v at %s: connected in %v", a.Broker, a.Peer, short(took.percentile(0)))
	if took.percentile(0) > roundSlow {
		return warning(name, "records are acknowledged after a round trip between agents: run them in one region, near each other", "%s", text)
	}
	return ok(name, "%s", text)
}
