package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"varve/admin"
	"varve/internal/backoff"
	"varve/internal/say"
)

// top is what varve top tells: rates between two moments. Each list has the busiest first.
type top struct {
	Seconds    float64        `json:"seconds"` // between the moments
	Agents     []topAgent     `json:"agents"`
	Topics     []topTopic     `json:"topics"`
	Partitions []topPartition `json:"partitions"`
	Groups     []topGroup     `json:"groups"`
	Clients    []topClient    `json:"clients"`
	Problems   []string       `json:"problems"` // agents that didn't answer
}

// traffic is what was written and read, a second.
type traffic struct {
	BytesIn    float64 `json:"bytes_in_per_second"`
	RecordsIn  float64 `json:"records_in_per_second"`
	BytesOut   float64 `json:"bytes_out_per_second"`
	RecordsOut float64 `json:"records_out_per_second"`
}

type topAgent struct {
	Broker int32 `json:"broker"`
	traffic
	Connections int `json:"connections"`
}

type topTopic struct {
	Topic string `json:"topic"`
	traffic
}

type topPartition struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	RecordsIn float64 `json:"records_in_per_second"`
}

type topGroup struct {
	Group   string  `json:"group"`
	Topic   string  `json:"topic"`
	Commits float64 `json:"committed_records_per_second"`
	Lag     int64   `json:"lag"` // records; -1: not known
	Catchup float64 `json:"seconds_to_catch_up"`
}

type topClient struct {
	User     string  `json:"user"`
	ClientID string  `json:"client_id"`
	Requests float64 `json:"requests_per_second"`
	BytesIn  float64 `json:"bytes_in_per_second"`
	BytesOut float64 `json:"bytes_out_per_second"`
}

// topFlags are the flags of varve top.
type topFlags struct {
	at       httpFlag
	out      jsonFlag
	by       string
	interval time.Duration
	once     bool
	most     int

	before *sample
}

// topKinds are what --by may name.
var topKinds = []string{"agent", "topic", "partition", "group", "client"}

func topCommand() *cobra.Command {
	var f topFlags
	c := &cobra.Command{
		Use:   "top",
		Short: "Show what is busiest: agents, topics, partitions, groups and clients, with their rates",
		Long: `Show what was written and read a second, by agent, topic, partition, consumer group and client, the
busiest first. The rates come from the metrics of all agents (/metrics), read twice, --interval apart. On a terminal they are
shown again and again, until it is interrupted; else, and with --once, once.

Agents have series of so many topics and partitions as metrics.max_topics, metrics.max_partitions,
metrics.max_group_topics and metrics.max_clients allow: the others are missing here, too. An agent reports groups at most every 3 seconds.`,
		Example: "  varve top\n  varve top --by group --interval 10s\n  varve top --once --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.interval < time.Second:
				return usagef("--interval is %v: must be at least a second", f.interval)
			case f.most < 1:
				return usagef("--limit is %d: must be at least 1", f.most)
			case f.by != "" && !slices.Contains(topKinds, f.by):
				return usagef("--by is %q: must be agent, topic, partition, group or client", f.by)
			}
			show := func() error { return f.show(c) }
			if f.once || f.out.on || !isTerminal(c.OutOrStdout()) {
				return show()
			}
			return again(c, f.interval, show)
		},
	}
	f.at.add(c)
	f.out.add(c, top{})
	c.Flags().StringVar(&f.by, "by", "", "show only one kind: agent, topic, partition, group or client")
	c.Flags().DurationVarP(&f.interval, "interval", "i", 5*time.Second, "how long rates are measured, and how often they are shown")
	c.Flags().BoolVar(&f.once, "once", false, "show them once, also on a terminal")
	c.Flags().IntVarP(&f.most, "limit", "n", 10, "how many of each kind")
	completeValues(c, "by", topKinds...)
	return c
}

// show takes a sample and prints the rates since the previous one. The first time it takes both.
func (f *topFlags) show(c *cobra.Command) error {
	ctx := c.Context()
	if f.before == nil {
		s, err := takeSample(ctx, f.at.addr)
		if err != nil {
			return err
		}
		f.before = s
		if err := backoff.Sleep(ctx, f.interval); err != nil {
			return err
		}
	}
	now, err := takeSample(ctx, f.at.addr)
	if err != nil {
		return err
	}
	t := f.before.until(now)
	f.before = now
	t.cut(f.by, f.most)
	return f.out.write(c.OutOrStdout(), t, t.print)
}

// sample is what all agents reported at a moment.
type sample struct {
	at       time.Time
	agents   map[int32]agentSample
	problems []string
}

// takeSample asks all agents that one knows for their metrics.
func takeSample(ctx context.Context, addr string) (*sample, error) {
	view, err := askAgent[admin.ClusterStatus](ctx, http.MethodGet, addr, "/v1/cluster")
	if err != nil {
		return nil, err
	}
	type answer struct {
		broker int32
		agentSample
		err error
	}
	answers := make(chan answer, len(view.Agents))
	for _, a := range view.Agents {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, healthPatience)
			defer cancel()
			one := answer{broker: a.Broker, err: errNoHTTP}
			if a.HTTP != "" {
				var text []byte
				if text, one.err = webPage(ctx, a.HTTP, "/metrics"); one.err == nil {
					one.agentSample, one.err = readSample(text)
				}
			}
			answers <- one
		}()
	}
	s := &sample{at: time.Now(), agents: map[int32]agentSample{}}
	for range view.Agents {
		one := <-answers
		if one.err != nil {
			s.problems = append(s.problems, fmt.Sprintf("agent %d: %v", one.broker, one.err))
		} else {
			s.agents[one.broker] = one.agentSample
		}
	}
	slices.Sort(s.problems)
	return s, nil
}

// cut leaves the busiest of each kind, or of one kind only.
func (t *top) cut(by string, most int) {
	t.Agents = busiest(t.Agents, by == "" || by == "agent", most, func(a topAgent) float64 { return a.BytesIn + a.BytesOut })
	t.Topics = busiest(t.Topics, by == "" || by == "topic", most, func(x topTopic) float64 { return x.BytesIn + x.BytesOut })
	t.Partitions = busiest(t.Partitions, by == "" || by == "partition", most, func(p topPartition) float64 { return p.RecordsIn })
	t.Clients = busiest(t.Clients, by == "" || by == "client", most, func(c topClient) float64 { return c.BytesIn + c.BytesOut })
	t.Groups = busiest(t.Groups, by == "" || by == "group", most, func(g topGroup) float64 { return g.Commits })
}

// busiest returns the first of all, which are in order of their names, by what they do.
func busiest[T any](all []T, wanted bool, most int, does func(T) float64) []T {
	if !wanted || all == nil {
		return []T{}
	}
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(does(b), does(a)) })
	return all[:min(len(all), most)]
}

func (t *top) print(out *table) {
	first := true
	section := func(n int, cells ...any) bool {
		if n == 0 {
			return false
		}
		if !first {
			out.gap()
		}
		first = false
		out.row(cells...)
		return true
	}
	if section(len(t.Agents), "AGENT", "IN/S", "RECORDS/S", "OUT/S", "RECORDS/S", "CONNECTIONS") {
		for _, a := range t.Agents {
			out.row(append(append([]any{a.Broker}, a.cells()...), a.Connections)...)
		}
	}
	if section(len(t.Topics), "TOPIC", "IN/S", "RECORDS/S", "OUT/S", "RECORDS/S") {
		for _, x := range t.Topics {
			out.row(append([]any{x.Topic}, x.cells()...)...)
		}
	}
	if section(len(t.Partitions), "PARTITION", "LEADER", "RECORDS IN/S") {
		for _, p := range t.Partitions {
			out.row(fmt.Sprintf("%s/%d", p.Topic, p.Partition), number(p.Leader), rate(p.RecordsIn))
		}
	}
	if section(len(t.Groups), "GROUP", "TOPIC", "COMMITTED/S", "LAG", "CAUGHT UP IN") {
		for _, g := range t.Groups {
			left := dash
			if g.Catchup > 0 {
				left = time.Duration(g.Catchup * float64(time.Second)).Round(time.Second).String()
			}
			out.row(g.Group, g.Topic, rate(g.Commits), number(g.Lag), left)
		}
	}
	if section(len(t.Clients), "USER", "CLIENT", "REQUESTS/S", "IN/S", "OUT/S") {
		for _, c := range t.Clients {
			out.row(c.User, orDash(c.ClientID), rate(c.Requests), say.Bytes(int64(c.BytesIn)), say.Bytes(int64(c.BytesOut)))
		}
	}
	if first {
		out.row("nothing has a rate yet")
	}
	for _, p := range t.Problems {
		out.row(p)
	}
}

func (t traffic) cells() []any {
	return []any{say.Bytes(int64(t.BytesIn)), rate(t.RecordsIn), say.Bytes(int64(t.BytesOut)), rate(t.RecordsOut)}
}

// rate shows a number a second.
func rate(n float64) string {
	if n < 10 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
