//go:build full

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaBroker starts a real Apache Kafka of one broker, whose id is 1, with more server
// properties, and returns its address. The test ends it.
func kafkaBroker(t *testing.T, properties ...string) string {
	t.Helper()
	lib, dir := kafkaJars(t), t.TempDir()
	broker, controller := freeAddr(t), freeAddr(t)
	config := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[3]s/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
%[4]s
`, broker, controller, dir, strings.Join(properties, "\n"))
	path := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "", "java", "-Xmx128m", "-cp", lib+"/*", "kafka.tools.StorageTool", "format", "-t", "kafkaBesideVarve00000Q", "-c", path)
	cmd := exec.Command("java", "-Xmx512m", "-cp", lib+"/*", "kafka.Kafka", path)
	var log logBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("Kafka's log ends:\n%s", tail(log.String(), 2000))
		}
	})
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	poll(t, 2*time.Minute, "Kafka serves", func() error {
		select {
		case <-ended:
			t.Fatalf("Kafka ended:\n%s", log.String())
		default:
		}
		return cl.Ping(t.Context())
	})
	return broker
}
