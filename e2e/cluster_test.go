package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/internal/testserver"
)

// cluster is several agents, etcd and MinIO.
type cluster struct {
	t      *testing.T
	etcd   *testserver.EtcdCluster
	minio  *testserver.MinIOServer
	tls    *authority                 // of the agents' certificates; nil: they speak plainly to each other
	linked bool                       // every agent reaches the others, and etcd, over links
	cables *cables                    // not nil: every agent is a host of its own
	edit   func(config string) string // changes every agent's settings; nil: nothing does
	old    string                     // the binary of another release that new agents run; empty: the one under test
	agents []*member
}

// member is one agent of a cluster.
type member struct {
	c     *cluster
	id    int
	dir   string
	kafka string
	http  string
	peers *link   // by which the others reach it
	etcds []*link // by which it reaches etcd
	old   string  // the binary of another release that it runs; empty: the one under test
	*process
}

// newCluster starts three agents and an etcd of one member; extra are more flags of
// every agent.
func newCluster(t *testing.T, extra ...string) *cluster {
	t.Helper()
	return newClusterOf(t, 1, false, extra...)
}

// newClusterOf starts three agents, and an etcd of so many members.
func newClusterOf(t *testing.T, etcds int, linked bool, extra ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, etcd: testserver.Etcds(t, etcds), minio: testserver.MinIO(t), linked: linked}
	c.begin(extra...)
	return c
}

// begin starts three agents.
func (c *cluster) begin(extra ...string) {
	c.t.Helper()
	if err := c.minio.CreateBucket(c.t.Context(), bucket); err != nil {
		c.t.Fatal(err)
	}
	for range 3 {
		c.add(extra...)
	}
	c.ready()
}

// add launches one more agent.
func (c *cluster) add(extra ...string) *member {
	c.t.Helper()
	n := len(c.agents) + 1
	m := &member{c: c, id: n, old: c.old, dir: filepath.Join(c.t.TempDir(), fmt.Sprint("agent-", n))}
	addr := func() string { return freeAddr(c.t) }
	if c.cables != nil {
		addr = c.cables.host(n)
	}
	m.kafka, m.http = addr(), addr()
	c.agents = append(c.agents, m)
	m.configure(addr())
	m.launch(extra...)
	return m
}

func (m *member) configure(peer string) {
	advertised, etcds, minio := peer, m.c.etcd.Endpoints, m.c.minio.Endpoint
	if m.c.cables != nil {
		etcds, minio = m.c.cables.etcds, m.c.cables.minio
	}
	if m.c.linked {
		m.peers = newLink(m.c.t, peer)
		advertised, etcds = m.peers.addr, nil
		for _, e := range m.c.etcd.Endpoints {
			l := newLink(m.c.t, strings.TrimPrefix(e, "http://"))
			m.etcds = append(m.etcds, l)
			etcds = append(etcds, "http://"+l.addr)
		}
	}
	config := fmt.Sprintf(`broker_id: %d
rack: rack-%[1]d
data_dir: %s
listeners:
  - name: PLAINTEXT
    bind: %s
http: %s
peer:
  bind: %s
  advertised: %s
etcd:
  endpoints: [%s]
store:
  driver: minio
  endpoint: %s
  bucket: %s
  access_key: %s
  secret_key: %s
  path_style: true
upload:
  max_age: 2s
groups:
  initial_rebalance_delay: 0s
`, m.id, m.data(), m.kafka, m.http, peer, advertised, strings.Join(etcds, ", "), minio, bucket, m.c.minio.AccessKey, m.c.minio.SecretKey)
	err := os.MkdirAll(m.dir, 0o700)
	if err == nil && m.c.tls != nil {
		config, err = strings.Replace(config, "\netcd:", m.c.tls.config(m.dir)+"\netcd:", 1), m.c.tls.issue(m.dir)
	}
	if m.c.edit != nil {
		config = m.c.edit(config)
	}
	if err == nil {
		err = os.WriteFile(m.config(), []byte(config), 0o600)
	}
	if err != nil {
		m.c.t.Fatal(err)
	}
}

func (m *member) data() string   { return filepath.Join(m.dir, "data") }
func (m *member) config() string { return filepath.Join(m.dir, "varve.yaml") }

func (m *member) launch(extra ...string) {
	args := append([]string{"agent", "--config", m.config()}, extra...)
	if m.c.cables != nil {
		m.process = m.c.cables.run(m.id, args...)
		return
	}
	m.process = start(m.c.t, exec.Command(cmp.Or(m.old, binary), args...))
}

func (m *member) await(path string) {
	m.c.t.Helper()
	awaitPage(m.c.t, m.process, "http://"+m.http+path)
}

// start starts the agent and waits until it is ready.
func (m *member) start() {
	m.c.t.Helper()
	m.launch()
	m.await("/readyz")
}

// wipe loses the disk of an agent that does not run.
func (m *member) wipe() {
	m.c.t.Helper()
	if err := os.RemoveAll(m.data()); err != nil {
		m.c.t.Fatal(err)
	}
}

// brokers are all agents' addresses.
func (c *cluster) brokers() string {
	var out []string
	for _, m := range c.agents {
		out = append(out, m.kafka)
	}
	return strings.Join(out, ",")
}

// ready waits until every agent serves what it owns, and says that no partition is without
// a leader.
func (c *cluster) ready() {
	c.t.Helper()
	for _, m := range c.agents {
		m.await("/readyz")
	}
	for _, m := range c.agents {
		poll(c.t, 60*time.Second, "leaders", func() error {
			if v, err := m.view(); err != nil || v.Leaderless > 0 {
				return fmt.Errorf("agent %d sees %d partitions without leader, %v", m.id, v.Leaderless, err)
			}
			return nil
		})
	}
}

// cutFromEtcd severs an agent from every member of etcd.
func (m *member) cutFromEtcd() {
	for _, l := range m.etcds {
		l.sever(everybody)
	}
}

// cutFromPeers severs an agent from all others, in both directions.
func (m *member) cutFromPeers() {
	m.peers.sever(everybody)
	for _, o := range m.c.agents {
		if o != m {
			o.peers.sever(m.cmd.Process.Pid)
		}
	}
}

// mend ends all cuts.
func (c *cluster) mend() {
	for _, m := range c.agents {
		m.peers.mend()
		for _, l := range m.etcds {
			l.mend()
		}
	}
}

// view is what the tests read of /v1/cluster.
type view struct {
	Controller int `json:"controller"`
	Leaderless int `json:"partitions_without_leader"`
	SlotsFree  int `json:"slots_without_agent"`
	Agents     []struct {
		Broker     int `json:"broker"`
		Partitions int `json:"partitions"`
		Slots      int `json:"slots"`
	} `json:"agents"`
}

// view asks an agent for the cluster.
func (m *member) view() (v view, err error) {
	body, err := get("http://" + m.http + "/v1/cluster")
	if err == nil {
		err = json.Unmarshal([]byte(body), &v)
	}
	return v, err
}

// share is how many partitions and coordinator slots the agents say that one has.
func (v view) share(broker int) (partitions, slots int) {
	for _, a := range v.Agents {
		if a.Broker == broker {
			return a.Partitions, a.Slots
		}
	}
	return 0, 0
}

// controller is the agent that is the controller.
func (c *cluster) controller() (found *member) {
	c.t.Helper()
	poll(c.t, 30*time.Second, "a controller", func() error {
		v, err := c.agents[0].view()
		if err != nil {
			return err
		}
		if v.Controller < 1 {
			return errors.New("nobody is the controller")
		}
		found = c.agents[v.Controller-1]
		return nil
	})
	return found
}

// coordinator is the agent that coordinates a group.
func (c *cluster) coordinator(group string) (found *member) {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	poll(c.t, 30*time.Second, "a coordinator", func() error {
		r := kadm.NewClient(cl).FindGroupCoordinators(c.t.Context(), group)[group]
		if r.Err != nil {
			return r.Err
		}
		found = c.agents[r.NodeID-1]
		return nil
	})
	return found
}

// awaitReplaced waits until every other agent says that each partition of a topic is
// led by somebody else.
func (c *cluster) awaitReplaced(topic string, m *member) {
	c.t.Helper()
	for _, o := range c.agents {
		if o == m {
			continue
		}
		poll(c.t, 60*time.Second, "other leaders", func() error { return o.leadsWithout(topic, m.id) })
	}
}

// leadsWithout asks this agent, and none that its answer names, who leads a topic.
func (m *member) leadsWithout(topic string, id int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(m.kafka))
	if err != nil {
		return err
	}
	defer cl.Close()
	r := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	r.Topics = append(r.Topics, t)
	answer, err := cl.SeedBrokers()[0].Request(m.c.t.Context(), r)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.MetadataResponse).Topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || int(p.Leader) == id || p.ErrorCode != 0 {
				return fmt.Errorf("partition %d is led by %d, error code %d", p.Partition, p.Leader, p.ErrorCode)
			}
		}
	}
	return nil
}
