package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// users lets anybody with a password in, and reader read and admin do everything.
type users struct{ starting bool }

func (u users) Authenticate(_ context.Context, _, user, password string) (string, error) {
	switch {
	case u.starting:
		return "", ErrNotYet
	case password != "secret":
		return "", context.DeadlineExceeded // any error
	}
	return "User:" + user, nil
}

func (u users) Allowed(principal, _ string, change bool) bool {
	return principal == "User:admin" || principal == "User:reader" && !change
}

// Only probes are open; to read and to change need rights of their own, and profiles count as
// changes.
func TestAccess(t *testing.T) {
	reached := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, principal(r.Context())) })
	for _, c := range []struct {
		method, path, user, password string
		starting                     bool
		code                         int
		says                         string
	}{
		{"GET", "/livez", "", "", false, 200, ""},
		{"GET", "/readyz", "", "", true, 200, ""},
		{"GET", "/healthz", "nobody", "wrong", false, 200, ""},
		{"GET", "/metrics", "", "", false, 401, "--password-file"},
		{"GET", "/v1/status", "", "", false, 401, "wants a user"},
		{"GET", "/nothing", "", "", false, 401, ""},
		{"GET", "/livez/", "", "", false, 401, ""},
		{"GET", "/v1/status", "reader", "wrong", false, 401, ""},
		{"GET", "/v1/status", "reader", "secret", true, 503, "starting"},
		{"GET", "/v1/status", "reader", "secret", false, 200, "User:reader"},
		{"HEAD", "/metrics", "reader", "secret", false, 200, ""},
		{"POST", "/v1/cluster/balance", "reader", "secret", false, 403, "User:reader isn't allowed ALTER on the cluster"},
		{"PUT", "/v1/status", "reader", "secret", false, 403, "ALTER"},
		{"GET", "/debug/pprof/heap", "reader", "secret", false, 403, "ALTER"},
		{"GET", "/debug/pprof/heap", "admin", "secret", false, 200, "User:admin"},
		{"POST", "/v1/cluster/balance", "admin", "secret", false, 200, "User:admin"},
		{"GET", "/v1/status", "stranger", "secret", false, 403, "varve acl explain User:stranger describe --cluster"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		admit(users{c.starting}, reached).ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s as %q: %d %q, want %d %q", c.method, c.path, c.user, w.Code, w.Body, c.code, c.says)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s as %q: header %q", c.method, c.path, c.user, w.Header())
		}
	}
}
