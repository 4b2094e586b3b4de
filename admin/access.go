package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Access decides who may use the pages that aren't open to everybody.
type Access interface {
	// Authenticate returns the principal of a user, or ErrNotYet. client is host:port.
	Authenticate(ctx context.Context, client, user, password string) (principal string, err error)
	// Allowed reports whether a principal may read, or change something.
	Allowed(principal, client string, change bool) bool
}

// ErrNotYet: the agent is starting and knows no users.
var ErrNotYet = errors.New("the agent is starting: it knows no users yet")

// probes are the pages that are open to everybody.
var probes = []string{"/livez", "/healthz", "/readyz"}

// admit lets only those pass who may do what they ask for.
func admit(access Access, next http.Handler) http.Handler {
	if access == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(probes, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		user, password, ok := r.BasicAuth()
		if !ok {
			unauthorized(w, "this agent wants a user and a password (--user, --password-file)")
			return
		}
		who, err := access.Authenticate(r.Context(), r.RemoteAddr, user, password)
		change := changes(r)
		switch {
		case errors.Is(err, ErrNotYet):
			reply(w, http.StatusServiceUnavailable, "not ready:\n  "+err.Error()+"\n")
		case err != nil:
			unauthorized(w, err.Error())
		case !access.Allowed(who, r.RemoteAddr, change):
			reply(w, http.StatusForbidden, "refused: "+who+" isn't allowed "+operation(change)+" on the cluster; 'varve acl explain "+who+" "+strings.ToLower(operation(change))+" --cluster' says why\n")
		default:
			next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), who)))
		}
	})
}

// changes reports whether a request needs more than to read: profiles slow an agent down, and
// show what is in its memory.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasPrefix(r.URL.Path, "/debug/")
}

func operation(change bool) string {
	if change {
		return "ALTER"
	}
	return "DESCRIBE"
}

func unauthorized(w http.ResponseWriter, why string) {
	w.Header().Set("WWW-Authenticate", `Basic realm="varve", charset="UTF-8"`)
	reply(w, http.StatusUnauthorized, "refused: "+why+"\n")
}
