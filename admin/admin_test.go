package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/cluster"
)

type fakeAgent struct{ missing []string }

func (f *fakeAgent) NotReady() []string { return f.missing }
func (f *fakeAgent) Status() any        { return map[string]int{"broker": 7} }

func (f *fakeAgent) Undelete(_ context.Context, topic string) error {
	if topic != "gone" {
		return cluster.ErrUnknownTopic
	}
	return nil
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
	s := httptest.NewServer(New(a, r, false).http.Handler)
	defer s.Close()
	if code, body := get(t, s, "/healthz"); code != 200 || body != "ok\n" {
		t.Error(code, body)
	}
	if code, body := get(t, s, "/readyz"); code != 503 || !strings.Contains(body, "etcd is away") {
		t.Error(code, body)
	}
	a.missing = nil
	if code, _ := get(t, s, "/readyz"); code != 200 {
		t.Error(code)
	}
	if code, body := get(t, s, "/metrics"); code != 200 || !strings.Contains(body, "varve_sample_total 1") {
		t.Error(code, body)
	}
	var status map[string]int
	if code, body := get(t, s, "/v1/status"); code != 200 || json.Unmarshal([]byte(body), &status) != nil || status["broker"] != 7 {
		t.Error(code, body)
	}
	for topic, want := range map[string]int{"gone": 200, "never": 404} {
		resp, err := http.Post(s.URL+"/v1/topics/"+topic+"/undelete", "", nil)
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
