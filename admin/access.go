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
	// Authenticate returns the principal of a user, or ErrNotYet or ErrBusy. client is host:port.
	Authenticate(ctx context.Context, client, user, password string) (principal string, err error)
	// AuthenticateToken does the same for a bearer token. Without tokens it isn't called.
	AuthenticateToken(ctx context.Context, client, token string) (principal string, err error)
	// Tokens reports whether there are bearer tokens at all.
	Tokens() bool
	// Allowed reports whether a principal may read, or change something.
	Allowed(principal, client string, change bool) bool
}

// ErrNotYet: the agent is starting and knows no users.
var ErrNotYet = errors.New("the agent is starting: it knows no users yet")

// ErrBusy: a password or token could not be checked now.
var ErrBusy = errors.New("too many passwords wait to be checked: try again later")

// retryAfter is how long a client should wait that came when too many waited, in seconds.
const retryAfter = "5"

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
		who, err := authenticate(access, r)
		change := changes(r)
		switch {
		case errors.Is(err, ErrNotYet):
			reply(w, http.StatusServiceUnavailable, "not ready:\n  "+err.Error()+"\n")
		case errors.Is(err, ErrBusy):
			w.Header().Set("Retry-After", retryAfter)
			reply(w, http.StatusServiceUnavailable, "refused: "+err.Error()+"\n")
		case err != nil:
			unauthorized(w, r, access.Tokens(), err.Error())
		case !access.Allowed(who, r.RemoteAddr, change):
			reply(w, http.StatusForbidden, "refused: "+who+" isn't allowed "+operation(change)+" on the cluster; 'varve acl explain "+who+" "+strings.ToLower(operation(change))+" --cluster' says why\n")
		default:
			next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), who)))
		}
	})
}

// authenticate returns the principal of who asks.
func authenticate(access Access, r *http.Request) (string, error) {
	if user, password, ok := r.BasicAuth(); ok {
		return access.Authenticate(r.Context(), r.RemoteAddr, user, password)
	}
	if !access.Tokens() {
		return "", errors.New("this agent wants a user and a password (--user, --password-file)")
	}
	token, ok := bearer(r)
	if !ok {
		return "", errors.New("this agent wants a user and a password (--user, --password-file), or a token (--sasl OAUTHBEARER, --password-file)")
	}
	return access.AuthenticateToken(r.Context(), r.RemoteAddr, token)
}

// bearer returns the bearer token of a request.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "Bearer")
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

// unauthorized refuses a request, and says by what it could be let in: as RFC 6750 says, also that
// a token isn't good.
func unauthorized(w http.ResponseWriter, r *http.Request, tokens bool, why string) {
	w.Header().Set("WWW-Authenticate", `Basic realm="varve", charset="UTF-8"`)
	if tokens {
		offer := `Bearer realm="varve"`
		if _, sent := bearer(r); sent {
			offer += `, error="invalid_token"`
		}
		w.Header().Add("WWW-Authenticate", offer)
	}
	reply(w, http.StatusUnauthorized, "refused: "+why+"\n")
}
