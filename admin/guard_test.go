package admin

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Web pages can't ask in the name of who looks at them: neither pages of other servers, nor
// those whose name was made to point here. Probes may call the agent what they like.
func TestPagesOfOthersAreRefused(t *testing.T) {
	a := &fakeAgent{}
	var log bytes.Buffer
	h := New(a, prometheus.NewRegistry(), Options{Profiles: true, Hosts: []string{"agent-1.example"}, Log: slog.New(slog.NewTextHandler(&log, nil))}).http.Handler
	ask := func(method, path, host string, headers ...string) int {
		r := httptest.NewRequest(method, path, nil)
		r.Host = host
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const drain, json, kind = "/v1/agents/2/drain", "application/json", "Content-Type"
	for _, host := range []string{"127.0.0.1:9644", "[::1]:9644", "10.1.2.3", "localhost:9644", "LOCALHOST.", "agent-1.example:9644", "Agent-1.Example."} {
		if code := ask("GET", "/v1/cluster", host); code != 200 {
			t.Errorf("GET at %s: %d", host, code)
		}
		if code := ask("POST", drain, host, kind, json+"; charset=utf-8"); code != 200 {
			t.Errorf("POST at %s: %d", host, code)
		}
	}
	asked := len(a.asked)
	for _, x := range []struct {
		method, path, host string
		code               int
		headers            []string
	}{
		{"POST", drain, "evil.example:9644", 403, []string{kind, json, "Origin", "http://evil.example"}},
		{"POST", drain, "evil.example:9644", 403, []string{kind, json, "Origin", "http://evil.example:9644"}},
		{"POST", drain, "evil.example:9644", 403, []string{kind, json}},
		{"POST", drain, "", 403, []string{kind, json}},
		{"POST", drain, "xagent-1.example", 403, []string{kind, json}},
		{"POST", drain, "127.0.0.1.evil.example", 403, []string{kind, json}},
		{"POST", drain, "127.0.0.1:9644", 403, []string{kind, json, "Origin", "http://evil.example"}},
		{"POST", drain, "127.0.0.1:9644", 403, []string{kind, json, "Origin", "null"}},
		{"POST", drain, "127.0.0.1:9644", 403, []string{kind, json, "Origin", "http://127.0.0.1:8000"}},
		{"POST", drain, "127.0.0.1:9644", 403, []string{kind, json, "Sec-Fetch-Site", "cross-site"}},
		{"PUT", "/v1/log-level?to=debug", "127.0.0.1:9644", 403, []string{kind, json, "Origin", "http://evil.example"}},
		{"PUT", "/v1/log-level?to=debug", "127.0.0.1:9644", 415, nil},
		{"POST", drain, "127.0.0.1:9644", 415, nil},
		{"POST", drain, "127.0.0.1:9644", 415, []string{kind, "text/plain"}},
		{"POST", drain, "127.0.0.1:9644", 415, []string{kind, "application/x-www-form-urlencoded"}},
		{"PUT", drain, "127.0.0.1:9644", 415, nil},
		{"GET", "/v1/cluster", "evil.example", 403, nil},
		{"GET", "/v1/cluster", "127.0.0.1:9644", 403, []string{"Origin", "http://evil.example"}},
		{"GET", "/debug/pprof/cmdline", "evil.example", 403, nil},
		{"GET", "/livez", "varve.default.svc:9644", 200, nil},
		{"GET", "/readyz", "anything", 200, nil},
		{"GET", "/metrics", "anything", 200, []string{"Origin", "http://prometheus.example"}},
		{"POST", drain, "127.0.0.1:9644", 200, []string{kind, json, "Origin", "http://127.0.0.1:9644"}},
	} {
		if code := ask(x.method, x.path, x.host, x.headers...); code != x.code {
			t.Errorf("%s %s at %q with %q: %d, want %d", x.method, x.path, x.host, x.headers, code, x.code)
		}
	}
	if n := len(a.asked) - asked; n != 1 {
		t.Errorf("the agent heard %d requests, want 1", n)
	}
	ask("POST", "/v1/topics/t%2F1/partitions/4/move?to=2", "127.0.0.1:9644", kind, json)
	ask("POST", "/v1/agents/9/drain", "127.0.0.1:9644", kind, json)
	for _, want := range []string{"client=192.0.2.1:1234 method=POST path=/v1/agents/2/drain", "query=\"to=2\" code=200", "path=/v1/agents/9/drain query=\"\" code=409 answer=", "host=evil.example:9644"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
}

// Every route is documented, and its method is GET, POST or PUT.
func TestRoutesAreDocumented(t *testing.T) {
	for _, r := range Routes() {
		if r.Doc == "" || !strings.HasPrefix(r.Example, "/") || r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodPut && !strings.HasPrefix(r.Path, "/debug/") {
			t.Errorf("%+v", r)
		}
	}
}
