package dashboards

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"varve/internal/golden"
)

// root is where the project is.
var root = filepath.Join("..", "..")

// TestDocsOfDashboards: deploy/grafana has the dashboards. 'make docs' renews it.
func TestDocsOfDashboards(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		if seen[d.Name] || d.Title == "" || d.Doc == "" || len(d.Rows) == 0 {
			t.Errorf("dashboard %q: its name isn't its own, or it lacks something", d.Name)
		}
		seen[d.Name] = true
		golden.Check(t, filepath.Join(root, "deploy", "grafana", "varve-"+d.Name+".json"), d.File())
	}
}

// rules is a file of rules, as Prometheus reads it.
type rules struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(golden.Read(t, filepath.Join(root, "deploy", "prometheus", "varve-rules.yaml"))), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// known are the metrics that docs/metrics.md has, with the series of histograms, and the recording
// rules.
func known(t *testing.T, r rules) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\w+) \\|")
	for _, m := range row.FindAllStringSubmatch(golden.Read(t, filepath.Join(root, "docs", "metrics.md")), -1) {
		if m[2] != "histogram" {
			out[m[1]] = true
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			out[m[1]+part] = true
		}
	}
	for _, g := range r.Groups {
		for _, one := range g.Rules {
			if one.Record != "" {
				out[one.Record] = true
			}
		}
	}
	return out
}

// TestMetricsAreKnown: no expression names a metric that isn't there.
func TestMetricsAreKnown(t *testing.T) {
	r := readRules(t)
	there := known(t, r)
	if len(there) < 100 {
		t.Fatalf("only %d metrics found in docs/metrics.md", len(there))
	}
	check := func(where, expr string) {
		t.Helper()
		for _, name := range Metrics(expr) {
			if !there[name] {
				t.Errorf("%s: there is no metric %s: %s", where, name, expr)
			}
		}
	}
	for _, d := range All() {
		for _, expr := range d.Expressions() {
			if len(Metrics(expr)) == 0 && !strings.Contains(expr, "process_") && !strings.Contains(expr, "go_") && !strings.HasPrefix(expr, "ALERTS") {
				t.Errorf("%s: no metric found in %s", d.Title, expr)
			}
			check(d.Title, expr)
		}
	}
	for _, g := range r.Groups {
		for _, one := range g.Rules {
			check("rule "+one.Record+one.Alert, one.Expr)
		}
	}
}

// TestMetrics: names are found wherever they stand in an expression.
func TestMetrics(t *testing.T) {
	const expr = `histogram_quantile(0.99, sum by (le) (rate(varve_a_seconds_bucket{job=~"$job"}[5m]))) / job_api:varve_b:p99_5m > on (job) kafka_c`
	if got, want := Metrics(expr), []string{"varve_a_seconds_bucket", "job_api:varve_b:p99_5m", "kafka_c"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Expand(`a{job=~"$job"}[$__rate_interval]`, "1m"); got != `a{job=~".*"}[1m]` {
		t.Error(got)
	}
}

// TestAlertsAreDocumented: each alert has a severity, a text, an entry of the runbook that its
// runbook_url leads to, and a test of promtool's.
func TestAlertsAreDocumented(t *testing.T) {
	var tests struct {
		Tests []struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(golden.Read(t, filepath.Join(root, "deploy", "prometheus", "varve-rules-test.yaml"))), &tests); err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, one := range tests.Tests {
		tested[one.Name] = true
	}
	runbook := golden.Read(t, filepath.Join(root, "docs", "runbook.md"))
	alerts := map[string]bool{}
	for _, g := range readRules(t).Groups {
		for _, one := range g.Rules {
			if one.Alert == "" {
				continue
			}
			alerts[one.Alert] = true
			if s := one.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
				t.Errorf("%s has severity %q", one.Alert, s)
			}
			if one.Annotations["summary"] == "" || one.Annotations["description"] == "" || one.Annotations["runbook_url"] != "docs/runbook.md#"+strings.ToLower(one.Alert) {
				t.Errorf("%s has annotations %v", one.Alert, one.Annotations)
			}
			if !tested[one.Alert] {
				t.Errorf("%s has no test in varve-rules-test.yaml", one.Alert)
			}
			entry, found := section(runbook, one.Alert)
			for _, part := range []string{"**Means:**", "**Look at:**", "**Do:**", "Severity: " + one.Labels["severity"]} {
				if !found || !strings.Contains(entry, part) {
					t.Errorf("%s: docs/runbook.md has no %s", one.Alert, part)
				}
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## (Varve\w+)$`).FindAllStringSubmatch(runbook, -1) {
		if !alerts[m[1]] {
			t.Errorf("docs/runbook.md has %s, which is no alert", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(runbook, -1) {
		if !strings.Contains(strings.ToLower(runbook), "\n## "+m[1]+"\n") {
			t.Errorf("docs/runbook.md has a link to %s, which isn't there", m[1])
		}
	}
}

// section returns what stands under a heading.
func section(text, heading string) (string, bool) {
	_, after, found := strings.Cut(text, "\n## "+heading+"\n")
	body, _, _ := strings.Cut(after, "\n## ")
	return body, found
}
