//go:build full

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// devBroker starts 'varve dev' for tools.
func devBroker(t *testing.T) string {
	t.Helper()
	kafka, http := freeAddr(t), freeAddr(t)
	p := run(t, "dev", "--data", t.TempDir(), "--kafka-listen", kafka, "--http-listen", http)
	awaitPage(t, p, "http://"+http+"/readyz")
	return kafka
}

// tool runs a command with an input and gives what it printed.
func tool(t *testing.T, in string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// lines makes n distinct lines.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}

func sorted(s string) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestKcat(t *testing.T) {
	t.Parallel()
	broker := devBroker(t)
	in := lines(2000)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		tool(t, in, "kcat", "-P", "-b", broker, "-t", codec, "-z", codec, "-X", "enable.idempotence=true")
		if got := tool(t, "", "kcat", "-C", "-b", broker, "-t", codec, "-e", "-q"); got != in {
			t.Errorf("%s: %d bytes came back of %d", codec, len(got), len(in))
		}
	}
	if got := tool(t, "", "kcat", "-b", broker, "-G", "g", "-X", "auto.offset.reset=earliest", "-c", "2000", "-q", "none", "zstd"); strings.Count(got, "\n") < 2000 {
		t.Errorf("the group got %d lines", strings.Count(got, "\n"))
	}
	if got := tool(t, "", "kcat", "-Q", "-b", broker, "-t", "none:0:-1"); !strings.Contains(got, "2000") {
		t.Errorf("the end of the log is %q", got)
	}
	if got := tool(t, "", "kcat", "-L", "-b", broker); !strings.Contains(got, "5 topics") {
		t.Error(got)
	}
	transactional(t, broker)
}

// transactional sees librdkafka fail for good, and not by repeating itself until it is
// killed, when it wants transactions.
func transactional(t *testing.T, broker string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", "-P", "-b", broker, "-t", "none", "-X", "transactional.id=x")
	cmd.Stdin = strings.NewReader("line\n")
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), "uthoriz") {
		t.Errorf("a transactional producer: %v, %v\n%s", err, ctx.Err(), out)
	}
}

// kafkaJars returns the directory of Kafka's jars.
func kafkaJars(t *testing.T) string {
	t.Helper()
	return jars(t, "kafka-tools-4.3.1", "java/pom.xml")
}

// jars returns the directory of the jars that a pom names, which Maven fetches once.
func jars(t *testing.T, name, pom string) string {
	t.Helper()
	fetchJars.Lock()
	defer fetchJars.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(cache, "varve", name)
	if _, err := os.Stat(filepath.Join(lib, "complete")); err != nil {
		tool(t, "", "mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+lib)
		if err := os.WriteFile(filepath.Join(lib, "complete"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return lib
}

var fetchJars sync.Mutex

// kafkaTools returns a function that runs Kafka's own command-line tools.
func kafkaTools(t *testing.T) func(in, class string, args ...string) string {
	t.Helper()
	lib := kafkaJars(t)
	return func(in, class string, args ...string) string {
		t.Helper()
		return tool(t, in, "java", append([]string{"-Xmx256m", "-cp", lib + "/*", "org.apache.kafka.tools." + class}, args...)...)
	}
}

func TestKafkaTools(t *testing.T) {
	t.Parallel()
	broker := devBroker(t)
	run := kafkaTools(t)
	at := func(args ...string) []string { return append([]string{"--bootstrap-server", broker}, args...) }
	want := func(out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("%q is missing in:\n%s", p, out)
			}
		}
	}
	want(run("", "TopicCommand", at("--create", "--topic", "java", "--partitions", "3", "--config", "retention.ms=86400000")...), "Created topic java")
	want(run("", "TopicCommand", at("--describe", "--topic", "java")...), "PartitionCount: 3", "retention.ms=86400000", "Leader: 1")
	in := lines(3000)
	run(in, "ConsoleProducer", at("--topic", "java", "--compression-codec", "zstd")...)
	out := run("", "consumer.ConsoleConsumer", at("--topic", "java", "--from-beginning", "--max-messages", "3000", "--group", "jg", "--timeout-ms", "60000")...)
	if sorted(out) != sorted(in) {
		t.Errorf("%d lines came back of 3000", strings.Count(out, "\n"))
	}
	want(run("", "consumer.group.ConsumerGroupCommand", at("--describe", "--group", "jg")...), "jg", "java")
	want(run("", "consumer.group.ConsumerGroupCommand", at("--group", "jg", "--topic", "java", "--reset-offsets", "--to-earliest", "--execute")...), "java")
	if again := run("", "consumer.ConsoleConsumer", at("--topic", "java", "--group", "jg", "--max-messages", "3000", "--timeout-ms", "60000")...); sorted(again) != sorted(in) {
		t.Errorf("%d lines after the reset", strings.Count(again, "\n"))
	}
	want(run("", "consumer.group.ConsumerGroupCommand", at("--list")...), "jg")
	want(run("", "GetOffsetShell", at("--topic", "java")...), "java:0:", "java:1:", "java:2:")
	want(run("", "LogDirsCommand", at("--describe", "--topic-list", "java")...), `"java-0"`)
	want(run("", "TopicCommand", at("--alter", "--topic", "java", "--partitions", "5")...))
	want(run("", "TopicCommand", at("--describe", "--topic", "java")...), "PartitionCount: 5")
	deletion := filepath.Join(t.TempDir(), "delete.json")
	if err := os.WriteFile(deletion, []byte(`{"version":1,"partitions":[{"topic":"java","partition":0,"offset":-1}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	want(run("", "DeleteRecordsCommand", at("--offset-json-file", deletion)...), "java-0", "low_watermark")
	want(run("", "ProducerPerformance", "--topic", "java", "--num-records", "20000", "--record-size", "200", "--throughput", "-1", "--command-property", "bootstrap.servers="+broker), "20000 records sent")
	want(run("", "VerifiableProducer", at("--topic", "java", "--max-messages", "500")...), `"acked":500`)
	want(run("", "consumer.group.ConsumerGroupCommand", at("--delete", "--group", "jg")...), "successful")
	want(run("", "BrokerApiVersionsCommand", at()...), "Fetch(1): 4 to 18")
	want(run("", "TopicCommand", at("--delete", "--topic", "java")...))
	deadline := time.Now().Add(10 * time.Second)
	for strings.Contains(run("", "TopicCommand", at("--list")...), "java") {
		if time.Now().After(deadline) {
			t.Fatal("the topic is still listed")
		}
	}
}
