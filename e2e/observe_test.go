//go:build full

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gopkg.in/yaml.v3"

	"varve/internal/dashboards"
	"varve/internal/testserver"
)

// rulesFile is what operators give to Prometheus.
var rulesFile = filepath.Join("..", "deploy", "prometheus", "varve-rules.yaml")

// needs ends the test where a program is missing: 'make observe-test' is for machines that have it.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("this test needs %s (Debian's package prometheus)", program)
	}
	return path
}

// TestObserveRules: the rules and the example of Prometheus' configuration are valid, and each
// alert fires for what is bad and for nothing else.
func TestObserveRules(t *testing.T) {
	promtool := needs(t, "promtool")
	dir := filepath.Dir(rulesFile)
	for _, args := range [][]string{{"check", "rules", "varve-rules.yaml"}, {"check", "config", "prometheus.yaml"}, {"test", "rules", "varve-rules-test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// prometheus is one that scrapes a cluster every second.
type prometheus struct {
	t    *testing.T
	addr string
}

// newPrometheus starts one with the rules of operators. Alerts fire after 3 seconds instead of
// minutes.
func newPrometheus(t *testing.T, c *cluster) *prometheus {
	t.Helper()
	binary := needs(t, "prometheus")
	dir := t.TempDir()
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	hurried := regexp.MustCompile(`(?m)^(\s+for:) \w+$`).ReplaceAll(rules, []byte("$1 3s"))
	var targets []string
	for _, m := range c.agents {
		targets = append(targets, m.http)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n- {job_name: varve, static_configs: [{targets: [%s]}]}\n", strings.Join(targets, ", "))
	for name, b := range map[string][]byte{"rules.yaml": hurried, "prometheus.yaml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &prometheus{t, freeAddr(t)}
	process := start(t, exec.Command(binary, "--config.file", filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", p.addr, "--log.level", "warn"))
	awaitPage(t, process, "http://"+p.addr+"/-/ready")
	return p
}

// series are the values of an expression now, by labels.
func (p *prometheus) series(expr string) (map[string]float64, error) {
	page, err := get("http://" + p.addr + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(page), &answer); err != nil {
		return nil, err
	}
	var vector []struct {
		Metric map[string]string
		Value  [2]any
	}
	if answer.Data.ResultType != "vector" {
		return nil, fmt.Errorf("%s is a %s", expr, answer.Data.ResultType)
	}
	if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, s := range vector {
		v, err := strconv.ParseFloat(s.Value[1].(string), 64)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(v) {
			continue // a quantile or a ratio of nothing
		}
		labels := fmt.Sprint(s.Metric)
		out[labels] = v
	}
	return out, nil
}

// awaitSome waits until each of some expressions has a series. It reports those that have none.
func (p *prometheus) awaitSome(patience time.Duration, exprs map[string]string) {
	p.t.Helper()
	empty := maps.Clone(exprs)
	for end := time.Now().Add(patience); len(empty) > 0 && time.Now().Before(end); time.Sleep(time.Second) {
		for where, expr := range empty {
			if s, err := p.series(expr); err != nil {
				p.t.Errorf("%s: %v: %s", where, err, expr)
				delete(empty, where)
			} else if len(s) > 0 {
				delete(empty, where)
			}
		}
	}
	for _, where := range slices.Sorted(maps.Keys(empty)) {
		p.t.Errorf("%s is empty: %s", where, empty[where])
	}
}

// awaitAlerts waits until all of some alerts fire, or none of them.
func (p *prometheus) awaitAlerts(firing bool, names ...string) {
	p.t.Helper()
	for _, name := range names {
		poll(p.t, 90*time.Second, fmt.Sprintf("alert %s firing: %v", name, firing), func() error {
			s, err := p.series(fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing"}`, name))
			if err == nil && (len(s) > 0) != firing {
				err = fmt.Errorf("%v", s)
			}
			return err
		})
	}
}

// recorded lists the recording rules.
func recorded(t *testing.T) (names []string) {
	t.Helper()
	b, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []struct{ Record string } }
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				names = append(names, r.Record)
			}
		}
	}
	return names
}

// traffic writes and reads until it is stopped.
type traffic struct {
	t     *testing.T
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

const observed = "orders"

// startTraffic begins to write to a topic, to read it in a group, and to read it from the start
// again and again, by clients that each write a record, too.
func startTraffic(t *testing.T, c *cluster) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &traffic{t: t, stop: cancel}
	client := func(opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))...)
		if err != nil {
			t.Fatal(err)
		}
		return cl
	}
	w.tasks.Go(func() {
		cl := client(kgo.DefaultProduceTopic(observed))
		defer cl.Close()
		for n := 0; ctx.Err() == nil; n++ {
			cl.Produce(ctx, &kgo.Record{Key: fmt.Append(nil, n), Value: make([]byte, 1000)}, nil)
			time.Sleep(time.Millisecond)
		}
	})
	w.tasks.Go(func() {
		cl := client(kgo.ConsumeTopics(observed), kgo.ConsumerGroup("readers"), kgo.AutoCommitInterval(500*time.Millisecond))
		defer cl.Close()
		for ctx.Err() == nil {
			cl.PollFetches(ctx)
		}
	})
	w.tasks.Go(func() {
		for ctx.Err() == nil {
			cl := client(kgo.ConsumeTopics(observed), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			cl.Produce(ctx, &kgo.Record{Topic: observed, Value: []byte("of a new producer")}, nil)
			for begun := time.Now(); ctx.Err() == nil && time.Since(begun) < 3*time.Second; {
				cl.PollFetches(ctx)
			}
			cl.Close()
		}
	})
	t.Cleanup(w.end)
	return w
}

func (w *traffic) end() {
	w.stop()
	w.tasks.Wait()
}

// TestObserve: a real Prometheus that scrapes a cluster under load finds something for every
// expression of the dashboards and for every recording rule. Lag is reported once and is right.
// Alerts fire when an agent is killed, the bucket is gone and etcd is, and are over when all is
// well again.
func TestObserve(t *testing.T) {
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), edit: func(config string) string {
		return config + "journal: {file_bytes: 4MiB, chunk_bytes: 1MiB}\n" // so that old records are soon in the bucket only
	}}
	c.begin()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.brokers(), ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 6, 3, nil, observed); err != nil {
		t.Fatal(err)
	}
	p := newPrometheus(t, c)
	load := startTraffic(t, c)
	time.Sleep(5 * time.Second) // for some history
	c.agents[2].stop()          // its partitions go to others, which have their old records in the bucket only
	c.agents[2].start()

	all := map[string]string{}
	for _, d := range dashboards.All() {
		for _, r := range d.Rows {
			for _, panel := range r.Panels {
				for i, q := range panel.Queries {
					all[fmt.Sprintf("%s, %s, %s %d", d.Title, r.Title, panel.Title, i)] = dashboards.Expand(q.Expr, "30s")
				}
			}
		}
	}
	for _, name := range recorded(t) {
		all["rule "+name] = name
	}
	p.awaitSome(2*time.Minute, all)
	t.Logf("%d expressions returned something", len(all))

	if dir := os.Getenv("OBSERVE_PICTURES"); dir != "" {
		time.Sleep(pictured)
		p.draw(dir)
	}
	load.end()
	p.lagIsRight(adm)

	p.awaitAlerts(false, "VarveAgentMissing", "VarveAgentNotScraped", "VarveBucketUnavailable", "VarveMetadataUnavailable", "VarvePartitionsLeaderless")
	c.agents[1].kill()
	p.awaitAlerts(true, "VarveAgentMissing", "VarveAgentNotScraped", "VarveJournalsShortOfMembers")
	c.agents[1].start()
	p.awaitAlerts(false, "VarveAgentMissing", "VarveAgentNotScraped", "VarveJournalsShortOfMembers")
	if err := c.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	p.awaitAlerts(true, "VarveBucketUnavailable")
	if err := c.minio.Start(); err != nil {
		t.Fatal(err)
	}
	p.awaitAlerts(false, "VarveBucketUnavailable")
	if err := c.etcd.Kill(); err != nil {
		t.Fatal(err)
	}
	p.awaitAlerts(true, "VarveMetadataUnavailable")
	if err := c.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	p.awaitAlerts(false, "VarveMetadataUnavailable", "VarveAgentMissing", "VarvePartitionsLeaderless")
}

// lagIsRight compares the lag of a group, over all agents, with what the admin API says.
func (p *prometheus) lagIsRight(adm *kadm.Client) {
	p.t.Helper()
	ctx := p.t.Context()
	ends, err := adm.ListEndOffsets(ctx, observed)
	if err != nil {
		p.t.Fatal(err)
	}
	var want float64
	var commit kadm.Offsets
	ends.Each(func(o kadm.ListedOffset) {
		at := o.Offset / 2
		commit.AddOffset(observed, o.Partition, at, -1)
		want += float64(o.Offset - at)
	})
	if err := adm.CommitAllOffsets(ctx, "half", commit); err != nil {
		p.t.Fatal(err)
	}
	for expr, want := range map[string]float64{
		`sum(kafka_consumergroup_lag{consumergroup="half"})`:                      want,
		`sum(kafka_consumergroup_lag_sum{consumergroup="half"})`:                  want,
		`sum(varve_group_lag_records{group="half"})`:                              want,
		`count(kafka_consumergroup_lag{consumergroup="half"})`:                    6,
		`sum(kafka_consumergroup_members{consumergroup="half"})`:                  0,
		`max(count by (topic, partition) (kafka_topic_partition_current_offset))`: 1,
		`sum(kafka_topic_partitions{topic="` + observed + `"})`:                   6,
		`sum(kafka_topic_partition_under_replicated_partition)`:                   0,
		`max(kafka_topic_partition_in_sync_replica)`:                              3,
		`sum(kafka_brokers)`: 3,
		`sum(kafka_topic_partition_current_offset) - sum(kafka_consumergroup_lag_sum{consumergroup="half"})`: sumOf(commit),
	} {
		poll(p.t, 30*time.Second, expr, func() error {
			s, err := p.series(expr)
			if err == nil && (len(s) != 1 || s["map[]"] != want) {
				err = fmt.Errorf("%v, not %v", s, want)
			}
			return err
		})
	}
}

func sumOf(offsets kadm.Offsets) (sum float64) {
	offsets.Each(func(o kadm.Offset) { sum += float64(o.At) })
	return sum
}
