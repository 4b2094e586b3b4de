// Package admin is an agent's HTTP face: health, metrics, profiles, and the JSON
// that the command line reads.
//
// It promises that /livez answers as long as the process works, that /readyz says
// whether this agent serves what it owns, and /v1/health how well the cluster is, and that
// only POST changes anything. It keeps no state.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"varve/cluster"
	"varve/health"
)

// Agent is what the pages tell about. Until it has started, only NotReady is asked.
type Agent interface {
	// Started is closed when the agent serves.
	Started() <-chan struct{}
	// NotReady lists why this agent doesn't serve what it owns, or nil.
	NotReady() []string
	// Notes are what is not as it should be, though this agent serves.
	Notes(ctx context.Context) []string
	// Health is how well the cluster is. It asks all other agents.
	Health(ctx context.Context) *health.Answer
	// Status is the agent's own state, for /v1/status.
	Status() any
	// Undelete brings a deleted topic back.
	Undelete(ctx context.Context, topic string) error
	Operator
	Tier
}

// Server answers HTTP requests.
type Server struct {
	http *http.Server
}

// New makes a server; profiles are served only if asked for.
func New(a Agent, metrics prometheus.Gatherer, profiles bool) *Server {
	mux := http.NewServeMux()
	for _, path := range []string{"GET /livez", "GET /healthz"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok\n") })
	}
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, a.NotReady(), notes(r.Context(), a)) })
	mux.HandleFunc("GET /v1/health", func(w http.ResponseWriter, r *http.Request) { respond(w, a.Health(r.Context())) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { respond(w, a.Status()) })
	mux.HandleFunc("POST /v1/topics/{topic}/undelete", func(w http.ResponseWriter, r *http.Request) {
		undelete(w, a.Undelete(r.Context(), r.PathValue("topic")))
	})
	operate(mux, a)
	tier(mux, a)
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return &Server{&http.Server{Handler: whenStarted(a, mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}}
}

// whenStarted keeps requests about the agent's state from one that has none yet.
func whenStarted(a Agent, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-a.Started():
		default:
			if strings.HasPrefix(r.URL.Path, "/v1/") {
				ready(w, a.NotReady(), nil)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(withClient(r.Context(), r.RemoteAddr)))
	})
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

func undelete(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		reply(w, http.StatusOK, "undeleted\n")
	case errors.Is(err, cluster.ErrUnknownTopic):
		reply(w, http.StatusNotFound, err.Error()+"\n")
	case errors.Is(err, cluster.ErrTopicExists):
		reply(w, http.StatusConflict, err.Error()+"\n")
	default:
		reply(w, http.StatusServiceUnavailable, err.Error()+"\n")
	}
}

func reply(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // the client may be gone
}

// notes are those of an agent that has started.
func notes(ctx context.Context, a Agent) []string {
	select {
	case <-a.Started():
		return a.Notes(ctx)
	default:
		return nil
	}
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
