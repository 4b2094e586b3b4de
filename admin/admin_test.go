package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/cluster"
	"varve/health"
	"varve/internal/id"
)

type fakeAgent struct {
	missing  []string
	asked    []string
	starting bool
	level    slog.Level
}

func (f *fakeAgent) Started() <-chan struct{} {
	c := make(chan struct{})
	if !f.starting {
		close(c)
	}
	return c
}

func (f *fakeAgent) NotReady() []string { return f.missing }
func (f *fakeAgent) Console() Console   { return f }
func (f *fakeAgent) Status() *Status    { return &Status{Broker: 7} }

func (f *fakeAgent) LogLevel() slog.Level { return f.level }
func (f *fakeAgent) SetLogLevel(_ context.Context, to slog.Level) error {
	f.level = to
	return nil
}

func (f *fakeAgent) Notes(context.Context) []string { return []string{"the clock is off"} }

func (f *fakeAgent) Health(context.Context) *health.Answer {
	return &health.Answer{Cluster: "c", Level: health.Degraded}
}

func (f *fakeAgent) Forget(ctx context.Context, broker int32) error {
	f.asked = append(f.asked, fmt.Sprint("forget ", broker, " ", Client(ctx) != ""))
	if broker == 9 {
		return cluster.ErrNoAgent
	}
	return nil
}

func (f *fakeAgent) Undelete(_ context.Context, topic string) error {
	if topic != "gone" {
		return cluster.ErrUnknownTopic
	}
	return nil
}

func (f *fakeAgent) Cluster() *ClusterStatus   { return &ClusterStatus{Controller: 1} }
func (f *fakeAgent) Journals() *JournalsStatus { return &JournalsStatus{Journal: "3-1"} }

func (f *fakeAgent) Balance(context.Context) (*Balanced, error) {
	return &Balanced{4}, nil
}

func (f *fakeAgent) Drain(_ context.Context, broker int32, drained bool) error {
	f.asked = append(f.asked, fmt.Sprint("drain ", broker, " ", drained))
	switch broker {
	case 8:
		return cluster.ErrUnknownAgent
	case 9:
		return cluster.ErrNoAgent
	}
	return nil
}

func (f *fakeAgent) Finalize(_ context.Context, level uint8, dryRun bool) (*Finalized, error) {
	f.asked = append(f.asked, fmt.Sprint("finalize ", level, " ", dryRun))
	if level == 9 {
		return nil, cluster.ErrLevel
	}
	return &Finalized{Before: 3, Level: 4}, nil
}

func (f *fakeAgent) MovePartition(_ context.Context, topic string, partition, to int32) error {
	f.asked = append(f.asked, fmt.Sprint("move ", topic, " ", partition, " ", to))
	if topic != "t/1" {
		return cluster.ErrUnknownTopic
	}
	return nil
}

func (f *fakeAgent) LossCost(_ context.Context, j id.Journal) (*LossCost, error) {
	return &LossCost{JournalStatus: JournalStatus{Journal: j.String()}}, nil
}

func (f *fakeAgent) AcceptLoss(_ context.Context, j id.Journal) (*Loss, error) {
	if j.Writer == 3 {
		return nil, cluster.ErrNoLoss
	}
	return nil, errors.New("etcd is away")
}

func (f *fakeAgent) TierHoles(_ context.Context, topics []string, tell func(*TierLook) error) error {
	if len(topics) > 0 && topics[0] != "t" {
		return cluster.ErrUnknownTopic
	}
	return errors.Join(tell(&TierLook{Hole: &health.Hole{Topic: "t"}}), tell(&TierLook{Done: true}))
}

func (f *fakeAgent) TierSkip(_ context.Context, topic string, partition int32, from, to int64) (*Skipped, error) {
	f.asked = append(f.asked, fmt.Sprint("skip ", topic, " ", partition, " ", from, " ", to))
	switch partition {
	case 8:
		return nil, &RefusedError{errors.New("it can be read")}
	case 9:
		return nil, &ElsewhereError{Base: "http://other:9644", What: "it", Agent: 2}
	}
	return &Skipped{Topic: topic}, nil
}

// TestOperating: what an operator asks for reaches the agent as it was meant, what makes
// no sense doesn't, and a GET changes nothing.
func TestOperating(t *testing.T) {
	a := &fakeAgent{}
	s := httptest.NewServer(New(a, prometheus.NewRegistry(), Options{Profiles: false}).http.Handler)
	defer s.Close()
	for _, x := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/v1/cluster", 200, `"controller": 1`},
		{"GET", "/v1/journals", 200, `"journal": "3-1"`},
		{"POST", "/v1/cluster/balance", 200, `"moves": 4`},
		{"GET", "/v1/log-level", 200, `"level": "info"`},
		{"PUT", "/v1/log-level?to=debug", 200, `"level": "debug"`},
		{"GET", "/v1/log-level", 200, `"level": "debug"`},
		{"PUT", "/v1/log-level?to=loud", 400, "must be debug, info, warn or error"},
		{"PUT", "/v1/log-level", 400, "must be debug, info, warn or error"},
		{"GET", "/v1/cluster/balance", 405, ""},
		{"POST", "/v1/cluster/finalize", 200, `"level": 4`},
		{"POST", "/v1/cluster/finalize?level=9&dry_run=true", 409, "can't be finalized"},
		{"POST", "/v1/cluster/finalize?level=300", 400, "level is"},
		{"POST", "/v1/cluster/finalize?dry_run=perhaps", 400, "dry_run is"},
		{"GET", "/v1/cluster/finalize", 405, ""},
		{"POST", "/v1/agents/2/drain", 200, ""},
		{"POST", "/v1/agents/2/undrain", 200, ""},
		{"POST", "/v1/agents/9/drain", 409, "no such agent"},
		{"POST", "/v1/agents/8/drain", 404, "no such agent"},
		{"POST", "/v1/agents/x/drain", 400, "must be a number"},
		{"GET", "/v1/agents/2/drain", 405, ""},
		{"POST", "/v1/agents/2/forget", 200, ""},
		{"POST", "/v1/agents/9/forget", 409, "no such agent"},
		{"GET", "/v1/agents/2/forget", 405, ""},
		{"GET", "/v1/health", 200, `"level": "degraded"`},
		{"POST", "/v1/topics/t%2F1/partitions/4/move?to=2", 200, ""},
		{"POST", "/v1/topics/u/partitions/4/move?to=2", 404, "does not exist"},
		{"POST", "/v1/topics/u/partitions/4/move", 400, "to is"},
		{"POST", "/v1/topics/u/partitions/-4/move?to=2", 400, "partition is"},
		{"GET", "/v1/tier/holes?topic=t", 200, `"topic":"t"`},
		{"GET", "/v1/tier/holes?topic=u", 404, "does not exist"},
		{"POST", "/v1/topics/t%2F1/partitions/4/skip?from=5&to=6", 200, `"topic": "t/1"`},
		{"POST", "/v1/topics/t/partitions/4/skip?from=-5&to=6", 400, "from is"},
		{"POST", "/v1/topics/t/partitions/8/skip?from=5&to=6", 409, "it can be read"},
		{"GET", "/v1/topics/t/partitions/4/skip?from=5&to=6", 405, ""},
		{"GET", "/v1/journals/3-1/loss", 200, `"journal": "3-1"`},
		{"GET", "/v1/journals/3/loss", 400, ""},
		{"POST", "/v1/journals/3-1/accept-loss", 409, "no loss"},
		{"POST", "/v1/journals/4-1/accept-loss", 503, "etcd is away"},
		{"GET", "/v1/journals/4-1/accept-loss", 405, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), x.method, s.URL+x.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != x.code || !strings.Contains(string(b), x.body) {
			t.Errorf("%s %s: %s %q, %v", x.method, x.path, resp.Status, b, err)
		}
	}
	want := []string{"finalize 0 false", "finalize 9 true", "drain 2 true", "drain 2 false", "drain 9 true", "drain 8 true", "forget 2 true", "forget 9 true", "move t/1 4 2", "move u 4 2", "skip t/1 4 5 6", "skip t 8 5 6"}
	if !slices.Equal(a.asked, want) {
		t.Errorf("the agent heard %q", a.asked)
	}
}

func get(t *testing.T, s *httptest.Server, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestPages(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_sample_total", Help: "x"})
	r.MustRegister(c)
	c.Inc()
	a := &fakeAgent{missing: []string{"etcd is away"}}
	s := httptest.NewServer(New(a, r, Options{Profiles: false}).http.Handler)
	defer s.Close()
	for _, path := range []string{"/livez", "/healthz"} {
		if code, body := get(t, s, path); code != 200 || body != "ok\n" {
			t.Error(path, code, body)
		}
	}
	if code, body := get(t, s, "/readyz"); code != 503 || !strings.Contains(body, "etcd is away") {
		t.Error(code, body)
	}
	a.missing = nil
	if code, body := get(t, s, "/readyz"); code != 200 || !strings.Contains(body, "note: the clock is off") {
		t.Error(code, body)
	}
	if code, body := get(t, s, "/metrics"); code != 200 || !strings.Contains(body, "varve_sample_total 1") {
		t.Error(code, body)
	}
	var status struct{ Broker int }
	if code, body := get(t, s, "/v1/status"); code != 200 || json.Unmarshal([]byte(body), &status) != nil || status.Broker != 7 {
		t.Error(code, body)
	}
	for topic, want := range map[string]int{"gone": 200, "never": 404} {
		resp, err := http.Post(s.URL+"/v1/topics/"+topic+"/undelete", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("undelete %s: %s", topic, resp.Status)
		}
	}
	if code, _ := get(t, s, "/debug/pprof/"); code != 404 {
		t.Error("profiles are served unasked:", code)
	}
}

// broken is a collector that fails.
type broken struct{ *prometheus.Desc }

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.Desc }
func (b broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(b.Desc, errors.New("it fails"))
}

// TestMetricsWithoutOne: metrics are told as far as they can be, and the log says what is missing.
func TestMetricsWithoutOne(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_sample_total", Help: "x"})
	r.MustRegister(c, broken{prometheus.NewDesc("varve_broken", "x", nil, nil)})
	var said strings.Builder
	s := httptest.NewServer(New(&fakeAgent{}, r, Options{Log: slog.New(slog.NewTextHandler(&said, nil))}).http.Handler)
	defer s.Close()
	if code, body := get(t, s, "/metrics"); code != 200 || !strings.Contains(body, "varve_sample_total 0") {
		t.Error(code, body)
	}
	if text := said.String(); !strings.Contains(text, "it fails") {
		t.Errorf("the log says %q", text)
	}
}

// TestStarting: an agent that hasn't started says what it waits for, and nothing of a
// state that it doesn't have.
func TestStarting(t *testing.T) {
	a := &fakeAgent{starting: true, missing: []string{"it waits for others"}}
	s := httptest.NewServer(New(a, prometheus.NewRegistry(), Options{Profiles: false}).http.Handler)
	t.Cleanup(s.Close)
	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/v1/health": 503, "/metrics": 200, "/readyz": 503, "/v1/status": 503, "/v1/cluster": 503} {
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want || want == 503 && !strings.Contains(string(body), "it waits for others") {
			t.Errorf("%s: %d %q %v", path, resp.StatusCode, body, err)
		}
	}
}
