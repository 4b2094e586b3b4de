package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/admin"
	"varve/internal/testserver"
	"varve/metadata/schema"
)

// previous returns the binary of the release before this one, which e2e/previous-release names.
func previous(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("previous-release")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := testserver.Previous(t.Context(), strings.TrimSpace(string(b)), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// runs has an agent stop and go on with another release, while clients work.
func (m *member) runs(bin string) {
	m.c.t.Helper()
	m.stop()
	m.old = bin
	m.launch()
	m.c.ready()
}

// TestUpgrade: agents of the release before are replaced one by one, taken back, and replaced again, while
// clients write and read, with no error and no loss; both releases are one cluster meanwhile. The cluster is
// finalized only when all know the new level; from then on the old release is refused.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	old := previous(t)
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), old: old}
	c.begin()
	l := newLedger(t, c.brokers(), "upgraded", 6)
	l.beginAt(500, 2000)
	w := newWriter(t, "idle", kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))
	f := l.follow("g")
	l.awaitMore(500)
	goesOn := func(what string) {
		t.Helper()
		l.awaitMore(500)
		w.goesOn()
		t.Log(what)
	}

	c.agents[0].runs("")
	goesOn("agent 1 is new")
	if text := c.agents[0].refusal(t, "cluster", "finalize", "--dry-run"); !strings.Contains(text, "don't know it: 2, 3;") {
		t.Errorf("finalize says %q", text)
	}
	if text := c.agents[0].refusal(t, "cluster", "finalize"); !strings.Contains(text, "don't know it: 2, 3;") {
		t.Errorf("finalize says %q", text)
	}
	c.agents[1].runs("")
	c.agents[2].runs("")
	goesOn("all agents are new")
	if v := c.status(t); v.Level != schema.OldestLevel || v.LevelMax != schema.NewestLevel {
		t.Errorf("level %d of %d", v.Level, v.LevelMax)
	}
	for _, m := range c.agents {
		m.runs(old)
		goesOn("an agent is old again")
	}
	for _, m := range c.agents {
		m.runs("")
		goesOn("an agent is new")
	}
	c.agents[2].stop()
	poll(t, time.Minute, "one agent gone", func() error {
		if n := len(c.status(t).Agents); n != 2 {
			return fmt.Errorf("%d agents are live", n)
		}
		return nil
	})
	if text := c.agents[0].refusal(t, "cluster", "finalize"); !strings.Contains(text, "are away: 3;") {
		t.Errorf("finalize says %q", text)
	}
	c.agents[2].start()
	c.ready()
	if text := output(t, "cluster", "finalize", "--http", c.agents[0].http); !strings.Contains(text, "finalized at level 4; it was at 3") {
		t.Errorf("finalize says %q", text)
	}
	for _, m := range c.agents {
		poll(t, time.Minute, "the level at each agent", func() error { return levelAt(t, m, schema.NewestLevel) })
	}
	goesOn("the cluster is finalized")

	m := c.agents[1]
	m.stop()
	m.old = old
	m.launch()
	select {
	case <-m.done:
	case <-time.After(time.Minute):
		t.Fatal("the old release runs in a finalized cluster")
	}
	if text := m.log.String(); !strings.Contains(text, "a newer build") {
		t.Errorf("the old release says:\n%s", text)
	}
	m.old = ""
	m.start()
	c.ready()
	goesOn("the old release was refused")
	w.end()
	l.end()
	l.check()
	f.check()
}

// refusal runs a command against an agent that refuses it, and returns what it says.
func (m *member) refusal(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(binary, append(args, "--http", m.http)...).CombinedOutput()
	if err == nil {
		t.Errorf("%s: it was done: %s", strings.Join(args, " "), out)
	}
	return string(out)
}

// status is the cluster as the first agent sees it.
func (c *cluster) status(t *testing.T) (s admin.ClusterStatus) {
	t.Helper()
	b, err := get("http://" + c.agents[0].http + "/v1/cluster")
	if err == nil {
		err = json.Unmarshal([]byte(b), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// levelAt reports whether a broker tells Kafka's clients a level.
func levelAt(t *testing.T, m *member, level int16) error {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(m.kafka))
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		return err
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "varve.version" && f.MaxVersionLevel == level {
			return nil
		}
	}
	return fmt.Errorf("%+v", resp.FinalizedFeatures)
}
