package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/settings"
)

// httpVariable names an agent's HTTP address where --http does not.
const httpVariable = settings.EnvPrefix + "HTTP_ADDR"

// defaultHTTP is where an agent listens for HTTP unless it is configured otherwise.
const defaultHTTP = "127.0.0.1:9644"

// requestTimeout is the default of --timeout.
const requestTimeout = 30 * time.Second

// httpFlag reports which agent a command asks over HTTP.
type httpFlag struct {
	addr    string
	timeout time.Duration
}

// timeoutKey is where a command's context has the bound of each request.
type timeoutKey struct{}

// add adds the flag to a command, and a --timeout of each request if it has none.
func (h *httpFlag) add(c *cobra.Command) {
	h.addAddress(c)
	f := c.Flags()
	if f.Lookup("timeout") == nil {
		f.DurationVar(&h.timeout, "timeout", requestTimeout, "request timeout")
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		d, err := f.GetDuration("timeout")
		if err != nil || d <= 0 {
			return usagef("--timeout is %v: must be more than 0", d)
		}
		c.SetContext(context.WithValue(c.Context(), timeoutKey{}, d))
		return h.choose(c)
	}
}

// choose takes the address from the profile, if neither the flag nor the environment has one.
func (h *httpFlag) choose(c *cobra.Command) error {
	f := c.Flags()
	if f.Changed("http") || os.Getenv(httpVariable) != "" {
		return nil
	}
	name, err := f.GetString("profile")
	if err != nil {
		return err
	}
	p, err := chosenProfile(name)
	if err == nil && p.HTTP != "" {
		h.addr = p.HTTP
	}
	return err
}

// addAddress adds the flag alone to a command.
func (h *httpFlag) addAddress(c *cobra.Command) {
	h.addr = defaultHTTP
	if addr := os.Getenv(httpVariable); addr != "" {
		h.addr = addr
	}
	f := c.Flags()
	f.StringVar(&h.addr, "http", h.addr, "host:port of any agent's HTTP (environment: "+httpVariable+")")
	f.Lookup("http").DefValue = defaultHTTP
	if f.Lookup("profile") == nil {
		new(connection).addProfile(f)
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error { return h.choose(c) }
}

// boundRequest bounds one request by the command's --timeout.
func boundRequest(ctx context.Context) (context.Context, context.CancelFunc) {
	d, ok := ctx.Value(timeoutKey{}).(time.Duration)
	if !ok {
		d = requestTimeout
	}
	return context.WithTimeout(ctx, d)
}

// httpBase is the URL of an agent's HTTP.
func httpBase(addr string) string {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	return strings.TrimSuffix(addr, "/")
}
