package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// users lets anybody with a password in, and reader read and admin do everything.
type users struct{ starting, busy, tokens bool }

func (u users) AuthenticateToken(_ context.Context, _, token string) (string, error) {
	name, ok := strings.CutPrefix(token, "good-")
	switch {
	case !u.tokens:
		panic("asked for a token")
	case u.starting:
		return "", ErrNotYet
	case !ok:
		return "", context.DeadlineExceeded // any error
	}
	return "User:" + name, nil
}

func (u users) Tokens() bool { return u.tokens }

func (u users) Authenticate(_ context.Context, _, user, password string) (string, error) {
	switch {
	case u.starting:
		return "", ErrNotYet
	case u.busy:
		return "", fmt.Errorf("wrapped: %w", ErrBusy)
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
		admit(users{starting: c.starting}, reached).ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s as %q: %d %q, want %d %q", c.method, c.path, c.user, w.Code, w.Body, c.code, c.says)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s as %q: header %q", c.method, c.path, c.user, w.Header())
		}
	}
}

// A bearer token is as good as a password, where there are tokens; whoever isn't let in is told what there is.
func TestBearerTokens(t *testing.T) {
	reached := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, principal(r.Context())) })
	basic := `Basic realm="varve", charset="UTF-8"`
	both := basic + "; " + `Bearer realm="varve"`
	invalid := both + `, error="invalid_token"`
	for _, c := range []struct {
		users         users
		method        string
		authorization string
		code          int
		says, offers  string
	}{
		{users{tokens: true}, "GET", "Bearer good-reader", 200, "User:reader", ""},
		{users{tokens: true}, "GET", "bearer  good-reader", 200, "User:reader", ""},
		{users{tokens: true}, "POST", "Bearer good-reader", 403, "ALTER", ""},
		{users{tokens: true}, "POST", "Bearer good-admin", 200, "User:admin", ""},
		{users{tokens: true}, "GET", "Bearer good-stranger", 403, "DESCRIBE", ""},
		{users{tokens: true}, "GET", "Bearer bad-reader", 401, "refused", invalid},
		{users{tokens: true}, "GET", "Bearer", 401, "or a token", both},
		{users{tokens: true}, "GET", "Bearer ", 401, "refused", invalid},
		{users{tokens: true}, "GET", "Digest good-reader", 401, "or a token", both},
		{users{tokens: true}, "GET", "", 401, "or a token", both},
		{users{tokens: true}, "GET", "Basic cmVhZGVyOnNlY3JldA==", 200, "User:reader", ""},
		{users{tokens: true}, "GET", "Basic cmVhZGVyOndyb25n", 401, "refused", both},
		{users{tokens: true, starting: true}, "GET", "Bearer good-reader", 503, "starting", ""},
		{users{}, "GET", "Bearer good-reader", 401, "--password-file", basic},
		{users{}, "GET", "", 401, "--password-file", basic},
	} {
		r := httptest.NewRequest(c.method, "/v1/status", nil)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		admit(c.users, reached).ServeHTTP(w, r)
		if offers := strings.Join(w.Header().Values("WWW-Authenticate"), "; "); w.Code != c.code || !strings.Contains(w.Body.String(), c.says) || offers != c.offers {
			t.Errorf("%+v %q: %d %q, offers %q", c.users, c.authorization, w.Code, w.Body, offers)
		}
	}
}

// Who comes while too many passwords wait to be checked isn't told that the password is wrong.
func TestBusyIsNoRefusal(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/status", nil)
	r.SetBasicAuth("reader", "secret")
	w := httptest.NewRecorder()
	admit(users{busy: true}, http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" || !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("%d %q, %v", w.Code, w.Body, w.Header())
	}
}
