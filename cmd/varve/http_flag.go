package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	conn    connection // where the command has no other
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

// choose takes from the profile what neither flags nor the environment have.
func (h *httpFlag) choose(c *cobra.Command) error {
	f := c.Flags()
	conn := connectionOf(f)
	p, err := chosenProfile(conn.profile)
	if err != nil {
		return err
	}
	given := f.Changed("http") || os.Getenv(httpVariable) != ""
	if p.HTTP != "" && !given {
		h.addr = p.HTTP
	}
	if given && !conn.chooses() && h.addr != p.HTTP {
		p = &profile{} // of another cluster, which must not get its password
	}
	ctx, err := conn.login(c.Context(), p)
	if err == nil {
		c.SetContext(ctx)
	}
	return err
}

// connectionOf returns what a command's flags say.
func connectionOf(f *pflag.FlagSet) *connection {
	text := func(name string) string { return f.Lookup(name).Value.String() }
	return &connection{profile: text("profile"), user: text("user"), mechanism: text("sasl"), passwordFile: text("password-file"), keytab: text("keytab"), token: text("token") == "true", tls: text("tls") == "true", ca: text("tls-ca"), cert: text("tls-cert"), key: text("tls-key")}
}

// addAddress adds the flag alone to a command.
func (h *httpFlag) addAddress(c *cobra.Command) {
	h.addr = defaultHTTP
	if addr := os.Getenv(httpVariable); addr != "" {
		h.addr = addr
	}
	f := c.Flags()
	f.StringVar(&h.addr, "http", h.addr, "host:port of any agent's HTTP, after https:// with TLS (environment: "+httpVariable+")")
	f.Lookup("http").DefValue = defaultHTTP
	if f.Lookup("profile") == nil {
		h.conn.add(f)
		h.conn.addProfile(f)
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
