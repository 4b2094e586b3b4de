package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// upgrade has the hosts run builds that know more and fewer levels, as they are upgraded and taken
// back, while an operator finalizes the cluster now and then. It checks that no agent is ever in a
// cluster at a level that it doesn't know.
type upgrade struct {
	w *world

	mu     sync.Mutex
	random *rand.Rand
	builds map[*host]uint8 // the newest level that the host's build knows
	mixed  bool            // hosts may start other builds than before
	back   *host           // kept from being started, or nil
	level  uint8           // the cluster's, as last seen
	raised int

	ask chan [2]*host // an agent that is to finalize the cluster at once, and the one that comes meanwhile
}

// The levels that builds know are 3 to one of these.
const (
	oldestBuild = schema.OldestLevel
	newestBuild = schema.NewestLevel + 4
)

func newUpgrade(w *world) *upgrade {
	u := &upgrade{w: w, random: rand.New(rand.NewPCG(w.seed, 1<<33)), builds: map[*host]uint8{}, ask: make(chan [2]*host, 1)}
	for _, h := range w.hosts {
		u.builds[h] = oldestBuild + 1 + uint8(u.random.IntN(3))
	}
	m := w.meta.Open()
	defer m.Close()
	if _, err := m.Txn(context.Background(), nil, metadata.Put(schema.KeyCluster, schema.Cluster{ID: "sim", Created: time.Now(), Level: oldestBuild}.Encode())); err != nil {
		panic(err)
	}
	return u
}

func (u *upgrade) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fmt.Sprintf("%d times finalized", u.raised)
}

// levels returns what the build knows that a host starts now.
func (u *upgrade) levels(h *host) schema.Levels {
	u.mu.Lock()
	defer u.mu.Unlock()
	knows := u.builds[h]
	if u.mixed {
		switch n := u.random.IntN(10); {
		case n < 5:
			knows = min(knows+1, newestBuild)
		case n < 6:
			knows = max(knows-1, oldestBuild)
		}
		u.builds[h] = knows
	}
	return schema.Levels{Min: oldestBuild, Max: knows}
}

// ended sees why an agent ended. One that was refused for its build gets the newest.
func (u *upgrade) ended(h *host, err error) {
	if err == nil || !strings.Contains(err.Error(), "use a newer build") {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.builds[h] = newestBuild
}

// mix has hosts that start from now on run newer and older builds.
func (u *upgrade) mix() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mixed = true
}

// settle gives all hosts that start from now on the newest build.
func (u *upgrade) settle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mixed = false
	for _, h := range u.w.hosts {
		u.builds[h] = newestBuild
	}
}

// meet starts an agent that the cluster has forgotten, with a build that knows no level above the present
// one, while another agent finalizes the cluster. One of the two stands still for a while. The fault ends
// by itself.
func (u *upgrade) meet(r *rand.Rand) (end func()) {
	order := r.Perm(len(u.w.hosts))
	comes, finalizes := u.w.hosts[order[0]], u.w.hosts[order[1]]
	l := comes.now()
	if l == nil || !u.keepBack(comes) {
		return nil
	}
	l.stop()
	u.w.later(4*time.Second, "", func() {
		defer u.release()
		select {
		case <-l.ended:
		default:
			return
		}
		if !u.forget(comes) {
			return
		}
		u.w.log.add("%v comes with an old build, while %v finalizes the cluster", comes, finalizes)
		asks := time.Duration(r.IntN(80)) * time.Millisecond // a start takes about as long
		still, after := comes, time.Duration(r.IntN(120))*time.Millisecond
		if r.IntN(2) == 0 {
			still, after = finalizes, asks+time.Duration(r.IntN(30))*time.Millisecond
		}
		lasts := time.Duration(100+r.IntN(900)) * time.Millisecond
		u.w.running.Go(func() {
			time.Sleep(after)
			if l := still.now(); l != nil {
				u.w.log.add("%v stands still for %v", still, lasts)
				l.g.hold()
				time.Sleep(lasts)
				l.g.release()
			}
		})
		u.w.running.Go(func() {
			time.Sleep(asks)
			select {
			case u.ask <- [2]*host{finalizes, comes}:
			default:
			}
		})
	})
	return nil
}

// keepBack keeps a host that ended from being started again, until release.
func (u *upgrade) keepBack(h *host) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.back != nil {
		return false
	}
	u.back = h
	return true
}

func (u *upgrade) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.back = nil
}

func (u *upgrade) keptBack(h *host) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.back == h
}

// forget takes a host's agent, which is gone, off those that are expected, and gives it a build that
// knows the cluster's level and no newer one. It reports whether that could be done.
func (u *upgrade) forget(h *host) bool {
	m := u.w.meta.Open()
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	b := id.Broker(h.at)
	if _, err := m.Txn(ctx, []metadata.Guard{{Key: schema.AgentKey(b)}}, metadata.Delete(schema.MemberKey(b))); err != nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.builds[h] = max(u.level, oldestBuild)
	return true
}

func (u *upgrade) draw(n int) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.random.IntN(n)
}

// common is the newest level that the builds of all hosts know but one; 0 if there is nothing to finalize.
func (u *upgrade) common(but *host) uint8 {
	u.mu.Lock()
	defer u.mu.Unlock()
	lowest := uint8(newestBuild)
	for h, knows := range u.builds {
		if h != but {
			lowest = min(lowest, knows)
		}
	}
	if lowest <= u.level {
		return 0
	}
	return lowest
}

// finalize asks agents to raise the cluster's level, at random times and when meet asks, until ctx ends.
func (u *upgrade) finalize(ctx context.Context, a *admin) {
	for ctx.Err() == nil {
		var h *host
		var to uint8
		select {
		case both := <-u.ask:
			h = both[0]
			if to = u.common(both[1]); to == 0 {
				continue
			}
		case <-time.After(time.Duration(300+u.draw(3000)) * time.Millisecond):
			h = u.w.hosts[u.draw(len(u.w.hosts))]
			if to = u.common(nil); to == 0 {
				continue
			}
		case <-ctx.Done():
			return
		}
		s, err := a.open(ctx, h, a.newest())
		if err != nil {
			continue
		}
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version, req.TimeoutMillis = 2, 3000
		f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		f.Feature, f.MaxVersionLevel, f.UpgradeType = "varve.version", int16(to), 1
		req.FeatureUpdates = append(req.FeatureUpdates, f)
		if resp, _, err := a.attempt(ctx, s, req); err == nil && resp.(*kmsg.UpdateFeaturesResponse).ErrorCode == 0 {
			u.mu.Lock()
			u.raised++
			u.mu.Unlock()
			u.w.log.add("the cluster is at level %d, says %v", to, h)
		}
		s.close()
	}
}

// see notes the cluster's level.
func (u *upgrade) see(level uint8) {
	u.mu.Lock()
	before := u.level
	u.level = level
	u.mu.Unlock()
	if level < before {
		u.w.fail("levels: the cluster went from level %d back to %d", before, level)
	}
}

// watch checks, after each transaction of etcd, that all agents that are registered know the level.
func (u *upgrade) watch(ctx context.Context) {
	m := u.w.meta.Open()
	defer m.Close()
	agents, levels := map[string]bool{}, map[string]uint8{}
	apply := func(e metadata.Event) {
		broker, of := strings.CutPrefix(e.KV.Key, schema.PrefixAgents)
		if of {
			agents[broker] = e.Type == metadata.EventPut
		}
		if broker, of = strings.CutPrefix(e.KV.Key, schema.PrefixLevels); of {
			delete(levels, broker)
			if l, err := schema.DecodeLevels(e.KV.Value); err == nil && e.Type == metadata.EventPut {
				levels[broker] = l.Max
			}
		}
		if e.KV.Key == schema.KeyCluster {
			if c, err := schema.DecodeCluster(e.KV.Value); err == nil {
				u.see(c.Level)
			}
		}
	}
	check := func() {
		u.mu.Lock()
		level := u.level
		u.mu.Unlock()
		for broker, there := range agents {
			if knows := max(levels[broker], oldestBuild); there && knows < level {
				u.w.fail("levels: agent %s, which knows level %d, is in a cluster at level %d", broker, knows, level)
			}
		}
	}
	for b := range m.Watch(ctx, "") {
		if b.Reset {
			clear(agents)
			clear(levels)
		}
		for i, e := range b.Events {
			if i > 0 && !b.Reset && e.KV.Mod != b.Events[i-1].KV.Mod {
				check()
			}
			apply(e)
		}
		check()
	}
}
