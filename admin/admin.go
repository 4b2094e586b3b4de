// Package admin is an agent's HTTP face: health, metrics, profiles, and the JSON
// that the command line reads.
//
// It promises that /livez answers as long as the process works, that /readyz reports
// whether this agent serves what it owns, and /v1/health how well the cluster is, and that
// only POST and PUT change anything, at the word of no web page (guard). It keeps no state.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/health"
)

// Agent is what the pages tell about.
type Agent interface {
	// Started is closed when the agent serves.
	Started() <-chan struct{}
	// NotReady lists why this agent doesn't serve what it owns, or nil.
	NotReady() []string
	// Console answers for an agent that has started.
	Console() Console
}

// Console answers about an agent that has started, and its cluster, and changes them.
type Console interface {
	// Notes are what is not as it should be, though this agent serves.
	Notes(ctx context.Context) []string
	// Health is how well the cluster is. It asks all other agents.
	Health(ctx context.Context) *health.Answer
	// Status is the agent's own state, for /v1/status.
	Status() *Status
	// Undelete brings a deleted topic back.
	Undelete(ctx context.Context, topic string) error
	// LogLevel is the level of this agent's log; SetLogLevel changes it until the next start.
	LogLevel() slog.Level
	SetLogLevel(ctx context.Context, level slog.Level) error
	Operator
	Tier
}

// Server answers HTTP requests.
type Server struct {
	http *http.Server
}

// New makes a server.
func New(a Agent, metrics prometheus.Gatherer, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	all := always(a, metrics, o.Log)
	if o.Profiles {
		all = append(all, profiles()...)
	}
	return &Server{&http.Server{Handler: admit(o.Access, guard(o, whenStarted(a, muxOf(all)))), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}} // of single connections, which strangers may make
}

func muxOf(all []Route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range all {
		mux.HandleFunc(strings.TrimSpace(r.Method+" "+r.Path), r.serve)
	}
	return mux
}

// whenStarted answers requests about the agent's state once it has one, and leaves all others
// to next.
func whenStarted(a Agent, next http.Handler) http.Handler {
	console := sync.OnceValue(func() http.Handler { return muxOf(onceStarted(a.Console())) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := next
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			if !started(a) {
				ready(w, a.NotReady(), nil)
				return
			}
			h = console()
		}
		h.ServeHTTP(w, r.WithContext(withClient(r.Context(), r.RemoteAddr)))
	})
}

func started(a Agent) bool {
	select {
	case <-a.Started():
		return true
	default:
		return false
	}
}

// Serve answers on l until Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close lets requests finish until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

func reply(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // #nosec G705 -- plain text; the client may be gone
}

func ready(w http.ResponseWriter, missing, notes []string) {
	code, text := http.StatusOK, "ready\n"
	if len(missing) > 0 {
		code, text = http.StatusServiceUnavailable, "not ready:\n"
	}
	for _, m := range missing {
		text += "  " + m + "\n"
	}
	for _, n := range notes {
		text += "  note: " + n + "\n"
	}
	reply(w, code, text)
}

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client may be gone
}
