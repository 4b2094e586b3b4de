//go:build full

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kafkaGoSkips are those of segmentio/kafka-go's own tests that can't pass: they want a second listener with SASL
// (TestSecuredListeners and others try that), the coordinator of transactions, and a salted password for a SCRAM user that
// isn't one of SCRAM, with which nobody could log in.
var kafkaGoSkips = strings.Join([]string{
	"SASL", "UserScramCredentials", "TestClientFindCoordinator$",
	"TestWriter/writing_a_message_with_SASL_Plain_authentication",
}, "|")

// kafkaGoFailsOnKafka are tests that fail on Apache Kafka 4.3.1 too: they dereference nil (the
// first two), count on the balance of two writers, or on compaction within milliseconds.
const kafkaGoFailsOnKafka = "TestReaderConsumerGroup/(consumer_group_commits_on_close|verify_offset_committed|consumer_group_rebalance$)|TestReaderReadCompactedMessage"

// TestKafkaGo runs the tests that segmentio/kafka-go's module carries: a client that
// doesn't repeat what fails. They want a broker with id 1 at localhost:9092, so they get a
// network namespace of their own.
func TestKafkaGo(t *testing.T) {
	t.Parallel()
	const module = "github.com/segmentio/kafka-go"
	program := filepath.Join(t.TempDir(), "kafka-go.test")
	if out, err := goIn("clients", "test", "-c", "-o", program, module); err != nil {
		t.Fatalf("build kafka-go's tests: %v\n%s", err, out)
	}
	// Only now is the module sure to be there: the build downloads it, and list does not.
	dir, err := goIn("clients", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil || strings.TrimSpace(dir) == "" {
		t.Fatalf("the folder of %s is %q: %v", module, dir, err)
	}
	space := fmt.Sprint("varve-kafka-go-", os.Getpid())
	tool(t, "", "ip", "netns", "add", space)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", space).Run() })
	inside := func(args ...string) []string { return append([]string{"netns", "exec", space}, args...) }
	tool(t, "", "ip", inside("ip", "link", "set", "lo", "up")...)
	p := start(t, exec.Command("ip", inside(binary, "dev", "--data", t.TempDir(), "--kafka-listen", "localhost:9092", "--http-listen", "localhost:9644", "--security-authorizer", "acl", "--security-allow-everyone-if-no-acl-found")...))
	poll(t, time.Minute, "the largest messages are allowed", func() error {
		select {
		case <-p.done:
			t.Fatal("the agent ended")
		default:
		}
		out, err := exec.Command("ip", inside(binary, "topic", "list", "-b", "localhost:9092")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	lib := kafkaJars(t)
	tool(t, "", "ip", inside("java", "-Xmx128m", "-cp", lib+"/*", "kafka.admin.ConfigCommand", "--bootstrap-server", "localhost:9092",
		"--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "message.max.bytes=33554432")...)

	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", inside(program, "-test.v", "-test.timeout=5m", "-test.skip="+kafkaGoSkips+"|"+kafkaGoFailsOnKafka)...)
	cmd.Dir = strings.TrimSpace(dir)
	cmd.Env = append(os.Environ(), "KAFKA_VERSION=4.3.1")
	runTestsOf(t, "kafka-go", cmd, 140)
}

// goIn runs the go command in a folder.
func goIn(folder string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = folder
	out, err := cmd.Output()
	return string(out), err
}
