package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"varve/admin"
	"varve/agent"
	"varve/broker"
	"varve/cluster"
	"varve/internal/docs"
	"varve/internal/golden"
	"varve/internal/settings"
)

// page compares a generated page with docs/, or renews it.
func page(t *testing.T, name, want string) {
	t.Helper()
	golden.Check(t, filepath.Join("..", "..", "docs", name), want) // 'make docs' renews them
}

func TestDocsOfSettings(t *testing.T) {
	cfg := agent.SharedConfig()
	var listener agent.Listener
	page(t, "config.md", docs.Config(&cfg, &listener))
	for _, s := range append(settings.Of(&cfg), settings.Of(&listener)...) {
		if s.Doc == "" {
			t.Errorf("setting %s has no doc tag", s.Path)
		}
	}
}

func TestDocsOfAPIs(t *testing.T) {
	var rows []docs.API
	for _, r := range broker.Table() {
		rows = append(rows, docs.API(r))
	}
	page(t, "apis.md", docs.APIs(rows))
}

func TestDocsOfHTTP(t *testing.T) {
	var pages []docs.Page
	for _, r := range admin.Routes() {
		pages = append(pages, docs.Page{Method: r.Method, Path: r.Path, Doc: r.Doc, Example: r.Example})
	}
	page(t, "http.md", docs.HTTP(pages))
}

func TestDocsOfTopicSettings(t *testing.T) {
	var all []docs.TopicSetting
	for _, d := range cluster.TopicDefinitions() {
		all = append(all, docs.TopicSetting{Name: d.Name, Synonym: d.Synonym, Default: d.Default, Doc: d.Doc})
	}
	page(t, "topics.md", docs.TopicSettings(all))
}

func TestDocsOfCommands(t *testing.T) {
	ofSettings := map[string]bool{}
	cfg := agent.SharedConfig()
	for _, s := range settings.Of(&cfg) {
		ofSettings[s.Flag()] = true
	}
	page(t, "cli.md", docs.CLI(root(), jsonAnnotation, func(c *cobra.Command, f *pflag.Flag) bool {
		return (c.Name() == "agent" || c.Name() == "config" || c.Name() == "doctor" || c.Name() == "dev" && f.Name != "pprof") && ofSettings[f.Name]
	}))
}

func TestDocsOfMetrics(t *testing.T) {
	a := startAgent(t, func(c *agent.Config) {
		open := c.Listeners[0]
		newIssuer(t).believed(c)
		c.Security.AuditTopic = "audit"
		c.Listeners = append([]agent.Listener{open}, c.Listeners...)
	})
	must(t, "", "topic create metered -p 1")
	must(t, "a\nb\n", "produce metered")
	must(t, "", "consume metered --group readers")
	pushMetric(t, a.kafka)
	running, err := docs.MetricTypes(a.registry)
	if err != nil {
		t.Fatal(err)
	}
	a.stop() // uploads: the bucket's metrics get values
	all, err := docs.MetricsOf(a.registry, running)
	if err != nil {
		t.Fatal(err)
	}
	page(t, "metrics.md", docs.Metrics(all))
}

// pushMetric pushes a metric as a client does (KIP-714).
func pushMetric(t *testing.T, broker string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	subscribe := kmsg.NewPtrIncrementalAlterConfigsRequest()
	subscribe.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "all",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "metrics", Value: kmsg.StringPtr("*")}}}}
	if answer, err := subscribe.RequestWith(t.Context(), cl.SeedBrokers()[0]); err != nil || answer.Resources[0].ErrorCode != 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	asked, err := kmsg.NewPtrGetTelemetrySubscriptionsRequest().RequestWith(t.Context(), cl.SeedBrokers()[0])
	if err != nil {
		t.Fatal(err)
	}
	body, err := proto.Marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{
		{Name: "m", Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{{Value: &metrics.NumberDataPoint_AsInt{AsInt: 1}}}}}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	push := kmsg.NewPtrPushTelemetryRequest()
	push.ClientInstanceID, push.SubscriptionID, push.Metrics = asked.ClientInstanceID, asked.SubscriptionID, body
	if answer, err := push.RequestWith(t.Context(), cl.SeedBrokers()[0]); err != nil || answer.ErrorCode != 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
}

func TestDocsOfFormats(t *testing.T) {
	formats := []docs.Format{
		{Title: "Journal files", Path: "wal/format.go"},
		{Title: "Objects in the bucket", Path: "tiering/object/format.go"},
		{Title: "Manifest pages", Path: "tiering/manifest/page.go"},
		{Title: "Keys in the bucket", Path: "tiering/object/key.go"},
		{Title: "The cluster's marker in the bucket", Path: "tiering/marker/marker.go"},
		{Title: "Keys in etcd", Path: "metadata/schema/keys.go"},
		{Title: "Record batches (Kafka's)", Path: "kafka/batch.go"},
	}
	for i := range formats {
		b, err := os.ReadFile(filepath.Join("..", "..", formats[i].Path))
		if err != nil {
			t.Fatal(err)
		}
		formats[i].Source = string(b)
	}
	want, err := docs.Formats(formats)
	if err != nil {
		t.Fatal(err)
	}
	page(t, "formats.md", want)
}
