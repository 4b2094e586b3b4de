package admin

import (
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Options change how a Server answers.
type Options struct {
	Profiles bool     // serve /debug/pprof
	Hosts    []string // names by which this agent is called, beside addresses and localhost
	Log      *slog.Logger
	Audit    *slog.Logger // changes; nil is Log
	Access   Access       // nil: everybody may do everything
}

// guard keeps web pages from asking in the name of those that look at them. Probes and metrics are
// open to everybody; the rest must be asked for by an address or one of the agent's names
// (a page can let its own name point here), and not by a page of another server. What
// changes something needs a content type that a page can't send elsewhere unasked.
func guard(o Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(open, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		code, why := o.refuses(r)
		if why != "" {
			o.Log.Warn("request over HTTP refused", "client", r.RemoteAddr, "method", r.Method, "path", r.URL.Path, "host", r.Host, "origin", r.Header.Get("Origin"), "why", why)
			reply(w, code, "refused: "+why+"\n")
			return
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		s := &outcome{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(s, r)
		o.Audit.Info("change asked for over HTTP", "client", r.RemoteAddr, "principal", principal(r.Context()), "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery, "code", s.code, "answer", strings.TrimSpace(string(s.said)))
	})
}

// open are the pages that tell web pages nothing of value.
var open = append([]string{"/metrics"}, probes...)

// refuses reports why a request isn't answered, "" if it is.
func (o *Options) refuses(r *http.Request) (code int, why string) {
	if !o.known(r.Host) {
		return http.StatusForbidden, "this agent isn't called " + r.Host + ": use its address or its name, or list the name in http_hosts"
	}
	if from := r.Header.Get("Origin"); from != "" {
		if u, err := url.Parse(from); err != nil || u.Host != r.Host {
			return http.StatusForbidden, "it comes from a page of " + from
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return http.StatusForbidden, "it comes from a page of another server"
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return 0, ""
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return http.StatusUnsupportedMediaType, "a change needs the header Content-Type: application/json"
	}
	return 0, ""
}

// known reports whether a Host is an address, localhost or one of the agent's names.
func (o *Options) known(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	return host != "" && (host == "localhost" || net.ParseIP(host) != nil || slices.ContainsFunc(o.Hosts, func(name string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "."), host)
	}))
}

// outcome notes how a request was answered.
type outcome struct {
	http.ResponseWriter
	code int
	said []byte // the beginning of it
}

func (o *outcome) WriteHeader(code int) {
	o.code = code
	o.ResponseWriter.WriteHeader(code)
}

func (o *outcome) Write(b []byte) (int, error) {
	if room := 500 - len(o.said); o.code != http.StatusOK && room > 0 {
		o.said = append(o.said, b[:min(len(b), room)]...)
	}
	return o.ResponseWriter.Write(b)
}
