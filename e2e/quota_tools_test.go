//go:build full

package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Kafka's tools set, describe and remove quotas, and are held back by them.
func TestKafkaToolsQuotas(t *testing.T) {
	t.Parallel()
	broker := devBroker(t)
	lib := kafkaJars(t)
	run := func(class string, args ...string) string {
		t.Helper()
		return tool(t, "", "java", append([]string{"-Xmx256m", "-cp", lib + "/*", class}, args...)...)
	}
	configs := func(args ...string) string {
		t.Helper()
		return run("kafka.admin.ConfigCommand", append([]string{"--bootstrap-server", broker}, args...)...)
	}
	for _, x := range []struct{ change, describe, want string }{
		{"--entity-type users --entity-name alice --add-config producer_byte_rate=1048576,request_percentage=50", "--entity-type users --entity-name alice",
			"Quota configs for user-principal 'alice' are producer_byte_rate=1048576.0, request_percentage=50.0"},
		{"--entity-type users --entity-default --add-config consumer_byte_rate=2048", "--entity-type users", "Quota configs for the default user-principal are consumer_byte_rate=2048.0"},
		{"--entity-type clients --entity-name perf --add-config producer_byte_rate=1048576", "--entity-type clients", "Quota configs for client-id 'perf' are producer_byte_rate=1048576.0"},
		{"--entity-type users --entity-name alice --entity-type clients --entity-default --add-config controller_mutation_rate=0.5", "--entity-type users --entity-name alice --entity-type clients",
			"Quota configs for user-principal 'alice', the default client-id are controller_mutation_rate=0.5"},
		{"--entity-type ips --entity-name 10.0.0.7 --add-config connection_creation_rate=7", "--entity-type ips --entity-name 10.0.0.7", "Quota configs for ip '10.0.0.7' are connection_creation_rate=7.0"},
		{"--entity-type ips --entity-default --add-config connection_creation_rate=500", "--entity-type ips", "Quota configs for the default ip are connection_creation_rate=500.0"},
		{"--entity-type users --entity-name alice --delete-config request_percentage", "--entity-type users --entity-name alice", "Quota configs for user-principal 'alice' are producer_byte_rate=1048576.0\n"},
	} {
		configs(append([]string{"--alter"}, strings.Fields(x.change)...)...)
		if out := configs(append([]string{"--describe"}, strings.Fields(x.describe)...)...); !strings.Contains(out, x.want) {
			t.Errorf("%s:\n%s\nwant %s", x.change, out, x.want)
		}
	}
	if out := output(t, "quota", "list", "-b", broker); strings.Count(out, "\n") != 7 {
		t.Errorf("listed:\n%s", out)
	}
	// 40 MiB with 1 MiB a second: ten at once, and the rest in its time.
	out := run("org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", "40960", "--record-size", "1024", "--throughput", "-1", "--print-metrics",
		"--command-property", "bootstrap.servers="+broker, "client.id=perf")
	rate := regexp.MustCompile(`\n40960 records sent, [\d.]+ records/sec \(([\d.]+) MB/sec\)`).FindStringSubmatch(out)
	if rate == nil {
		t.Fatalf("no result in\n%s", out)
	}
	if got, err := strconv.ParseFloat(rate[1], 64); err != nil || got < 0.8 || got > 1.4 {
		t.Errorf("%s MB/sec, %v", rate[1], err)
	}
	if waits := regexp.MustCompile(`produce-throttle-time-max:\{client-id=perf\} *: ([\d.]+)`).FindStringSubmatch(out); waits == nil || waits[1] == "0.000" {
		t.Errorf("the producer was not told to wait: %v", waits)
	}
}
