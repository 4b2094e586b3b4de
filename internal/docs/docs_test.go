package docs

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

func TestMetricsAreListedWithTypesAndLabels(t *testing.T) {
	r := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "varve_level", Help: `How "full" it is.`}, []string{"of", "in"})
	r.MustRegister(gauge, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "varve_things_total", Help: "Things."}, []string{"kind"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_other", Help: "Not ours."}))
	if _, err := MetricsOf(r, nil); err == nil || !strings.Contains(err.Error(), "varve_level") {
		t.Errorf("a gauge without a value: %v", err)
	}
	gauge.WithLabelValues("a", "b").Set(1)
	all, err := MetricsOf(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := Metrics(all)
	for _, want := range []string{"| `varve_level` | gauge | `of`, `in` | How \"full\" it is. |\n", "| `varve_things_total` | counter | `kind` | Things. |\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in:\n%s", want, page)
		}
	}
	if strings.Contains(page, "go_other") {
		t.Error("a metric of the runtime is in the page")
	}
}

func TestCommandsAreListedWithFlagsAndExamples(t *testing.T) {
	root := &cobra.Command{Use: "tool", Long: "A tool."}
	child := &cobra.Command{Use: "do THING", Short: "Do it", Example: "  tool do x", Annotations: map[string]string{"json": "{}"}, Run: func(*cobra.Command, []string) {}}
	child.Flags().IntP("times", "n", 3, "how often, a|b")
	root.AddCommand(child)
	page := CLI(root, "json", nil)
	for _, want := range []string{"A tool.", "## tool do\n", "tool do THING [flags]", "\ntool do x\n", "| `-n`, `--times` | `3` | how often, a\\|b |", "With `--json`:\n\n```\n{}\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in:\n%s", want, page)
		}
	}
}

func TestAPIsAreListed(t *testing.T) {
	if page := APIs([]API{{3, "Metadata", 0, 13, "DESCRIBE TOPIC", "x<y"}}); !strings.Contains(page, "| 3 | Metadata | 0 to 13 | DESCRIBE TOPIC | x&lt;y |\n") || !strings.Contains(page, "The 1 requests") {
		t.Errorf("the page is:\n%s", page)
	}
}
