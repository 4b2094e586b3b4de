package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one family of metrics.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

// described is the text form of a prometheus.Desc, which tells nothing otherwise.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// MetricTypes returns the types of the families that have a value now, by name.
func MetricTypes(r *prometheus.Registry) (map[string]string, error) {
	families, err := r.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	types := map[string]string{}
	for _, f := range families {
		types[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	return types, nil
}

// MetricsOf lists what is registered, sorted by name. A family's type is known
// once it has a value; of those without one, a name that ends in _total is a
// counter's, one that had a value earlier has the type of then, and any other is an error
// that names it.
func MetricsOf(r *prometheus.Registry, earlier map[string]string) ([]Metric, error) {
	types, err := MetricTypes(r)
	if err != nil {
		return nil, err
	}
	for name, t := range earlier {
		if types[name] == "" {
			types[name] = t
		}
	}
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); r.Describe(descs) }()
	var out []Metric
	for d := range descs {
		m, e := parseDesc(d.String())
		if m.Type = types[m.Name]; m.Type == "" && strings.HasSuffix(m.Name, "_total") {
			m.Type = "counter"
		}
		if m.Type == "" && e == nil {
			e = fmt.Errorf("metric %s has no value yet", m.Name)
		}
		if err == nil {
			err = e
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b Metric) bool { return a.Name == b.Name }), err
}

func parseDesc(text string) (m Metric, err error) {
	f := described.FindStringSubmatch(text)
	if f == nil {
		return m, fmt.Errorf("metric %s: its description is not understood", text)
	}
	if m.Name, err = strconv.Unquote(f[1]); err != nil {
		return m, err
	}
	if m.Help, err = strconv.Unquote(f[2]); err != nil {
		return m, err
	}
	if f[3] != "" {
		m.Labels = strings.Split(f[3], ",")
	}
	return m, nil
}

// Metrics is the page of an agent's metrics. Those of the Go runtime and the
// process, which depend on platform and Go version, are only mentioned.
func Metrics(all []Metric) string {
	var b strings.Builder
	b.WriteString(notice)
	b.WriteString(`# Metrics

An agent serves its metrics at ` + "`/metrics`" + ` of its HTTP address, in Prometheus' text format. Beside the ones
below there are those of the Go runtime (` + "`go_...`" + `) and of the process (` + "`process_...`" + `). Sizes are in
bytes and times in seconds. A histogram has ` + "`_bucket`, `_sum` and `_count`" + ` series.

Those that begin with ` + "`kafka_`" + ` have the names and labels of kafka_exporter, so that dashboards which were made for it work
when they are pointed at the agents. Each series comes from one agent: of a group from its coordinator, of a partition from its
leader, of the cluster from the controller. A sum over all agents is right.

`)
	row(&b, "metric", "type", "labels", "what it is")
	b.WriteString("|---|---|---|---|\n")
	for _, m := range all {
		if !strings.HasPrefix(m.Name, "varve_") && !strings.HasPrefix(m.Name, "kafka_") {
			continue
		}
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = code(l)
		}
		row(&b, code(m.Name), m.Type, strings.Join(labels, ", "), cell(m.Help))
	}
	return b.String()
}
