package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"varve/internal/logs"
)

// Route is one page that is served.
type Route struct {
	Method, Path string
	Doc          string // what it does, and its answers
	Example      string // of the path
	serve        http.HandlerFunc
}

// Routes are all pages, for the documentation.
func Routes() []Route {
	return slices.Concat(always(nil, nil, nil), onceStarted(nil), profiles())
}

// always are the pages of an agent that may still be starting.
func always(a Agent, metrics prometheus.Gatherer, log *slog.Logger) []Route {
	livez := func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok\n") }
	return []Route{
		{"GET", "/livez", "Whether this process works. 200, `ok`.", "/livez", livez},
		{"GET", "/healthz", "The same as `/livez`.", "/healthz", livez},
		{"GET", "/readyz", "Whether this agent serves what it owns. 200, `ready`, or 503, `not ready` and why, a reason a line; notes of what isn't as it should be stand below.", "/readyz",
			func(w http.ResponseWriter, r *http.Request) { ready(w, a.NotReady(), notes(r.Context(), a)) }},
		{"GET", "/metrics", "Metrics, as [metrics.md](metrics.md) lists them, in Prometheus' format.", "/metrics",
			func(w http.ResponseWriter, r *http.Request) {
				promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, ErrorLog: ungathered{log}}).ServeHTTP(w, r)
			}},
	}
}

// ungathered logs that some metrics could not be gathered. The others are told all the same: what watches
// the agent must not be blind for one of them.
type ungathered struct{ *slog.Logger }

// Println implements promhttp.Logger.
func (u ungathered) Println(v ...any) { u.Error("metrics not gathered", "err", fmt.Sprint(v...)) }

// onceStarted are the pages of an agent that has started, which all are under /v1/.
func onceStarted(c Console) []Route {
	all := []Route{
		{"GET", "/v1/health", "How well the cluster is: what `varve cluster health --json` prints.", "/v1/health",
			func(w http.ResponseWriter, r *http.Request) { respond(w, c.Health(r.Context())) }},
		{"GET", "/v1/status", "This agent's own state.", "/v1/status",
			func(w http.ResponseWriter, _ *http.Request) { respond(w, c.Status()) }},
		{"POST", "/v1/topics/{topic}/undelete", "Brings a deleted topic back. 404: no such topic was deleted lately; 409: there is one of that name.", "/v1/topics/orders/undelete",
			func(w http.ResponseWriter, r *http.Request) {
				answer(w, struct{}{}, c.Undelete(r.Context(), r.PathValue("topic")))
			}},
		{"GET", "/v1/log-level", "The level of this agent's log.", "/v1/log-level", func(w http.ResponseWriter, _ *http.Request) { respond(w, logLevel(c)) }},
		{"PUT", "/v1/log-level", "Changes it to the parameter `to` (debug, info, warn, error), until the agent's next start or SIGHUP. 400: there is no such level.", "/v1/log-level?to=debug",
			func(w http.ResponseWriter, r *http.Request) {
				to, err := logs.ParseLevel(r.URL.Query().Get("to"))
				if err != nil {
					answer(w, nil, &badError{err})
					return
				}
				if err := c.SetLogLevel(r.Context(), to); err != nil {
					answer(w, nil, err)
					return
				}
				respond(w, logLevel(c))
			}},
	}
	return slices.Concat(all, operate(c), tier(c))
}

func profiles() []Route {
	const doc = "Profiles of Go's net/http/pprof; only with the setting `pprof`."
	return []Route{
		{"", "/debug/pprof/", doc, "/debug/pprof/heap", pprof.Index},
		{"", "/debug/pprof/cmdline", doc, "/debug/pprof/cmdline", pprof.Cmdline},
		{"", "/debug/pprof/profile", doc, "/debug/pprof/profile?seconds=10", pprof.Profile},
		{"", "/debug/pprof/symbol", doc, "/debug/pprof/symbol", pprof.Symbol},
		{"", "/debug/pprof/trace", doc, "/debug/pprof/trace?seconds=5", pprof.Trace},
	}
}

// notes are those of an agent that has started.
func notes(ctx context.Context, a Agent) []string {
	if !started(a) {
		return nil
	}
	return a.Console().Notes(ctx)
}
