package broker

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

// TestClientMetrics: a subscription is made as kafka-client-metrics does, listed and described; a
// client is asked for what it says and pushes it, and after its end for nothing.
func TestClientMetrics(t *testing.T) {
	withSecured(t, func(s *secured) {
		admin, client := s.connect("User:admin"), s.connect("User:nobody")
		alter := func(name string, ops ...kmsg.IncrementalAlterConfigsRequestResourceConfig) (*kerr.Error, string) {
			r := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: name, Configs: ops}}
			got := admin.ask(1, r).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
			synctest.Wait()
			said := ""
			if got.ErrorMessage != nil {
				said = *got.ErrorMessage
			}
			return kerr.TypedErrorForCode(got.ErrorCode), said
		}
		set := func(name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
			return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Value: &value}
		}
		get := func(id [16]byte) *kmsg.GetTelemetrySubscriptionsResponse {
			return client.ask(0, &kmsg.GetTelemetrySubscriptionsRequest{ClientInstanceID: id}).(*kmsg.GetTelemetrySubscriptionsResponse)
		}
		first := get([16]byte{})
		if first.ErrorCode != 0 || first.ClientInstanceID == [16]byte{} || len(first.RequestedMetrics) != 0 || first.PushIntervalMillis != 300_000 || first.TelemetryMaxBytes != 1<<20 {
			t.Errorf("without subscriptions: %+v", first)
		}
		if err := get(first.ClientInstanceID).ErrorCode; kerr.TypedErrorForCode(err) != kerr.ThrottlingQuotaExceeded {
			t.Errorf("again at once: %v", kerr.TypedErrorForCode(err))
		}
		if err, said := alter("all", set("metrics", "*")); err != kerr.UnsupportedVersion || !strings.Contains(said, "varve cluster finalize") {
			t.Errorf("while agents of the release before may come: %v %q", err, said)
		}
		if _, err := s.editor.Finalize(s.ctx, schema.NewestLevel, false); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, setting, value string
			err                  *kerr.Error
			says                 string
		}{
			{"all", "metrics", "*", nil, ""},
			{"all", "interval.ms", "1000", nil, ""},
			{"all", "interval.ms", "1", kerr.InvalidRequest, "interval must be between 100 and 3600000"},
			{"all", "match", "x", kerr.InvalidRequest, "Illegal client matching pattern: x"},
			{"all", "colour", "red", kerr.InvalidRequest, "Unknown client metrics configuration: colour"},
			{"", "metrics", "*", kerr.InvalidRequest, "Default client metrics resources are not allowed."},
		} {
			if err, said := alter(c.name, set(c.setting, c.value)); err != c.err || !strings.Contains(said, c.says) {
				t.Errorf("%+v: %v %q", c, err, said)
			}
		}
		list := admin.ask(0, &kmsg.ListConfigResourcesRequest{}).(*kmsg.ListConfigResourcesResponse)
		if len(list.ConfigResources) != 1 || list.ConfigResources[0].Name != "all" {
			t.Errorf("listed: %+v", list)
		}
		s.topic("t")
		many := &kmsg.ListConfigResourcesRequest{ResourceTypes: slices.Repeat([]int8{int8(kmsg.ConfigResourceTypeTopic)}, 1000)}
		if list := admin.ask(1, many).(*kmsg.ListConfigResourcesResponse); len(list.ConfigResources) != 1 || list.ConfigResources[0].Name != "t" {
			t.Errorf("a kind that is named often: %d", len(list.ConfigResources))
		}
		describe := kmsg.NewPtrDescribeConfigsRequest()
		describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeClientMetrics, ResourceName: "all"}}
		if got := admin.ask(4, describe).(*kmsg.DescribeConfigsResponse).Resources[0]; len(got.Configs) != 2 || got.Configs[0].Name != "interval.ms" || *got.Configs[0].Value != "1000" || got.Configs[0].Source != kmsg.ConfigSourceClientMetricsConfig {
			t.Errorf("described: %+v", got)
		}
		a := get(first.ClientInstanceID)
		if a.ErrorCode != 0 || len(a.RequestedMetrics) != 1 || a.RequestedMetrics[0] != "*" || a.PushIntervalMillis != 1000 {
			t.Errorf("with a subscription: %+v", a)
		}
		push := func(subscription int32, metrics []byte) *kerr.Error {
			time.Sleep(2 * time.Second)
			return kerr.TypedErrorForCode(client.ask(0, &kmsg.PushTelemetryRequest{ClientInstanceID: a.ClientInstanceID, SubscriptionID: subscription, Metrics: metrics}).(*kmsg.PushTelemetryResponse).ErrorCode)
		}
		if err := push(a.SubscriptionID, nil); err != nil {
			t.Errorf("a push: %v", err)
		}
		if err := push(a.SubscriptionID+1, nil); err != kerr.UnknownSubscriptionID {
			t.Errorf("of another subscription: %v", err)
		}
		if err := push(a.SubscriptionID, []byte{255}); err != kerr.InvalidRecord {
			t.Errorf("of what isn't metrics: %v", err)
		}
		del := func(name string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
			return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: kmsg.IncrementalAlterConfigOpDelete}
		}
		if err, said := alter("all", del("metrics"), del("interval.ms"), del("match")); err != nil {
			t.Errorf("delete: %v %s", err, said)
		}
		if list := admin.ask(0, &kmsg.ListConfigResourcesRequest{}).(*kmsg.ListConfigResourcesResponse); len(list.ConfigResources) != 0 {
			t.Errorf("after its end: %+v", list)
		}
	})
}
