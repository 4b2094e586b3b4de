package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"varve/internal/settings"
)

// brokersVariable names the brokers where --brokers does not.
const brokersVariable = settings.EnvPrefix + "BROKERS"

// defaultBrokers is where `varve dev` listens.
const defaultBrokers = "127.0.0.1:9092"

// kafkaFlags select the cluster that a command speaks to, and how it connects.
type kafkaFlags struct {
	brokers string
	timeout time.Duration
	conn    connection
	chosen  *target // once: a password is asked for only once
}

func (k *kafkaFlags) add(f *pflag.FlagSet) {
	k.addBrokers(f)
	f.DurationVar(&k.timeout, "timeout", requestTimeout, "request timeout")
	k.conn.add(f)
	k.conn.addProfile(f)
}

func (k *kafkaFlags) addBrokers(f *pflag.FlagSet) {
	f.StringVarP(&k.brokers, "brokers", "b", "", "host:port of one or more brokers, separated by commas (environment: "+brokersVariable+"; default "+defaultBrokers+")")
}

// target is a cluster that was chosen, and how to connect to it.
type target struct {
	seeds []string // host:port of brokers
	tls   *tls.Config
	sasl  sasl.Mechanism
	conn  *connection // how it is made
}

// target returns the cluster that flags, environment and profile choose, in this order.
func (k *kafkaFlags) target() (*target, error) {
	if k.timeout <= 0 {
		return nil, usagef("--timeout is %v: must be more than 0", k.timeout)
	}
	if k.chosen != nil {
		return k.chosen, nil
	}
	p, err := chosenProfile(k.conn.profile)
	if err != nil {
		return nil, err
	}
	t := &target{}
	given := cmp.Or(k.brokers, os.Getenv(brokersVariable))
	if t.seeds, err = brokerAddresses(cmp.Or(given, strings.Join(p.Brokers, ","), defaultBrokers)); err != nil {
		return nil, err
	}
	if given != "" && !k.conn.chooses() && slices.ContainsFunc(t.seeds, func(s string) bool { return !slices.Contains(p.Brokers, s) }) {
		p = &profile{} // of another cluster, which must not get its password
	}
	conn := k.conn.over(p)
	if err := conn.check(); err != nil {
		return nil, usageError{err}
	}
	if t.tls, err = conn.tlsConfig(); err != nil {
		return nil, err
	}
	t.conn = &conn
	if t.sasl, err = conn.sasl(); err != nil {
		return nil, err
	}
	k.chosen = t
	return t, nil
}

// brokerAddresses reads a list of brokers.
func brokerAddresses(text string) (out []string, err error) {
	for _, s := range strings.Split(text, ",") {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, ":") {
			s = net.JoinHostPort(s, "9092")
		}
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" || s == ":" {
			return nil, usagef("broker %q: want host:port", s)
		}
		out = append(out, s)
	}
	return out, nil
}

// dial connects to a broker.
func (t *target) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.tls == nil {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return secured(t.tls, new(net.Dialer).DialContext)(ctx, network, addr)
}

// options are a client's that connects to the brokers, by a dialer of its own.
func (t *target) options(dial func(ctx context.Context, network, addr string) (net.Conn, error)) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(t.seeds...), kgo.Dialer(dial)}
	if t.sasl != nil {
		opts = append(opts, kgo.SASL(t.sasl))
	}
	return opts
}

// client connects; that no broker answers is said at once.
func (k *kafkaFlags) client(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	t, err := k.target()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	cl, err := kgo.NewClient(append(k.base(t), opts...)...)
	if err != nil {
		return nil, usageError{err}
	}
	if err := ping(ctx, cl); err != nil {
		cl.Close()
		return nil, connectError(t, err)
	}
	return cl, nil
}

func (k *kafkaFlags) base(t *target) []kgo.Opt {
	prompt := &promptDialer{dialer: t.dial}
	return append(t.options(prompt.dial), kgo.ClientID("varve-cli"), kgo.SoftwareNameAndVersion("varve-cli", softwareVersion()),
		kgo.RetryTimeout(k.timeout), kgo.RequestTimeoutOverhead(min(max(k.timeout, 100*time.Millisecond), 10*time.Second)), kgo.MetadataMinAge(100*time.Millisecond))
}

// adminClient asks a cluster; wire sends requests that kadm can't make.
type adminClient struct {
	*kadm.Client
	wire *kgo.Client
}

// admin connects for one command; ctx is bounded by the timeout.
func (k *kafkaFlags) admin(ctx context.Context) (adm *adminClient, bounded context.Context, done func(), err error) {
	if k.timeout <= 0 {
		return nil, nil, nil, usagef("--timeout is %v: must be more than 0", k.timeout)
	}
	bounded, cancel := context.WithTimeout(ctx, k.timeout)
	cl, err := k.client(bounded)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	adm = &adminClient{kadm.NewClient(cl), cl}
	adm.SetTimeoutMillis(int32(min(k.timeout, 24*time.Hour).Milliseconds()))
	return adm, bounded, func() { cancel(); cl.Close() }, nil
}

// softwareVersion is the version in the characters that Kafka allows there.
func softwareVersion() string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' {
			return r
		}
		return -1
	}, version()) + "-go"
}

// topicNames completes names of topics in a shell.
func (k *kafkaFlags) topicNames(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return k.complete(c, func(ctx context.Context, adm *adminClient) ([]string, error) {
		found, err := adm.ListTopics(ctx)
		return found.Names(), err
	}, prefix)
}

// groupNames completes names of groups in a shell.
func (k *kafkaFlags) groupNames(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return k.complete(c, func(ctx context.Context, adm *adminClient) ([]string, error) {
		found, err := adm.ListGroups(ctx)
		return found.Groups(), err
	}, prefix)
}

func (k *kafkaFlags) complete(c *cobra.Command, list func(context.Context, *adminClient) ([]string, error), prefix string) (out []string, _ cobra.ShellCompDirective) {
	quick := *k
	quick.timeout, quick.conn.quiet = min(k.timeout, 2*time.Second), true
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	adm, ctx, done, err := quick.admin(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer done()
	names, err := list(ctx, adm)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// partitionList reads "0,2,5-7"; nothing is nil.
func partitionList(text string) ([]int32, error) {
	if text == "" {
		return nil, nil
	}
	var out []int32
	for _, part := range strings.Split(text, ",") {
		var low, high int32
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		if n, err := fmt.Sscanf(from+" "+to+" .", "%d %d .", &low, &high); n != 2 || err != nil || low < 0 || high < low || high-low > 100_000 {
			return nil, usagef("partitions %q: want numbers and ranges, like 0,2,5-7", text)
		}
		for p := low; p <= high; p++ {
			out = append(out, p)
		}
	}
	return out, nil
}
