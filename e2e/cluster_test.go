package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/testserver"
)

// cluster is three agents, etcd and MinIO.
type cluster struct {
	t      *testing.T
	etcd   *testserver.EtcdServer
	minio  *testserver.MinIOServer
	agents []*member
}

// member is one agent of a cluster.
type member struct {
	c     *cluster
	id    int
	dir   string
	kafka string
	http  string
	*process
}

// newCluster starts everything; extra are more flags of every agent.
func newCluster(t *testing.T, extra ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, etcd: testserver.Etcd(t, testserver.EtcdOptions{}), minio: testserver.MinIO(t)}
	if err := c.minio.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		m := &member{c: c, id: n, dir: filepath.Join(t.TempDir(), fmt.Sprint("agent-", n)), kafka: freeAddr(t), http: freeAddr(t)}
		m.configure(freeAddr(t))
		c.agents = append(c.agents, m)
	}
	for _, m := range c.agents {
		m.launch(extra...)
	}
	for _, m := range c.agents {
		m.await("/readyz")
	}
	return c
}

func (m *member) configure(peer string) {
	config := fmt.Sprintf(`broker_id: %d
rack: rack-%[1]d
data_dir: %s
listeners:
  - name: PLAINTEXT
    bind: %s
http: %s
peer:
  bind: %s
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
`, m.id, m.data(), m.kafka, m.http, peer, strings.Join(m.c.etcd.Endpoints, ", "), m.c.minio.Endpoint, bucket, m.c.minio.AccessKey, m.c.minio.SecretKey)
	err := os.MkdirAll(m.dir, 0o700)
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
	m.process = run(m.c.t, append([]string{"agent", "--config", m.config()}, extra...)...)
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

// ready waits until no partition is without a leader.
func (c *cluster) ready() {
	c.t.Helper()
	for _, m := range c.agents {
		m.await("/readyz")
	}
}

// awaitReplaced waits until every partition of a topic is led by another agent.
func (c *cluster) awaitReplaced(topic string, m *member) {
	c.t.Helper()
	var others []string
	for _, o := range c.agents {
		if o != m {
			others = append(others, o.kafka)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(others...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	poll(c.t, 30*time.Second, "other leaders", func() error {
		topics, err := kadm.NewClient(cl).ListTopics(c.t.Context(), topic)
		if err != nil {
			return err
		}
		for _, p := range topics[topic].Partitions {
			if p.Leader < 0 || int(p.Leader) == m.id || p.Err != nil {
				return fmt.Errorf("partition %d is led by %d: %w", p.Partition, p.Leader, p.Err)
			}
		}
		return nil
	})
}
