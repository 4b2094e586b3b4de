// Package clients lets client libraries that nobody here wrote produce and
// consume: sarama, and librdkafka through confluent-kafka-go. A module of its
// own, so that they stay out of the product's. (franz-go, kcat and Kafka's own
// tools are in e2e.)
package clients

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/oauth2-proxy/mockoidc"
)

var broker string

func TestMain(m *testing.M) { os.Exit(withBroker(m)) }

// withBroker builds the broker, runs the tests against 'varve dev', and ends it.
func withBroker(m *testing.M) int {
	dir, err := os.MkdirTemp("", "varve-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "varve")
	build := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/varve")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the broker:", err)
		return 1
	}
	broker = "127.0.0.1:17992"
	listeners, err := securedListeners(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if provider, err = mockoidc.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = provider.Shutdown() }()
	cmd := exec.Command(binary, "dev", "--data", filepath.Join(dir, "data"), "--listeners", listeners, "--http-listen", "127.0.0.1:17993",
		"--security-oauth-jwks-url", provider.JWKSEndpoint(), "--security-oauth-issuer", provider.Issuer(), "--security-oauth-audience", provider.ClientID)
	cmd.Env = append(os.Environ(), "VARVE_BOOTSTRAP_USER="+user+":"+password)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	if err := awaitPort(broker); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func awaitPort(addr string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("the broker does not listen on %s", addr)
}

const count = 300

// checklist wants every value once.
type checklist struct {
	t    *testing.T
	seen map[string]int
}

func newChecklist(t *testing.T) *checklist { return &checklist{t, map[string]int{}} }

func (c *checklist) add(key, value []byte, headers int) {
	c.t.Helper()
	c.seen[string(value)]++
	if string(key) != "key "+string(value) || headers != 1 {
		c.t.Errorf("value %q has key %q and %d headers", value, key, headers)
	}
}

func (c *checklist) full(n int) bool { return len(c.seen) >= n }

func (c *checklist) check(n int) {
	c.t.Helper()
	for i := range n {
		if got := c.seen[fmt.Sprint(i)]; got != 1 {
			c.t.Fatalf("value %d was consumed %d times", i, got)
		}
	}
}

var saramaCodecs = []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD}

func TestSarama(t *testing.T) {
	const topic = "sarama"
	cfg := sarama.NewConfig()
	cfg.Version = sarama.MaxVersion
	admin, err := sarama.NewClusterAdmin([]string{broker}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, codec := range saramaCodecs {
		cfg := sarama.NewConfig()
		cfg.Version = sarama.MaxVersion
		cfg.Producer.Return.Successes = true
		cfg.Producer.RequiredAcks = sarama.WaitForAll
		cfg.Producer.Compression = codec
		cfg.Producer.Idempotent = true
		cfg.Net.MaxOpenRequests = 1
		p, err := sarama.NewSyncProducer([]string{broker}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var batch []*sarama.ProducerMessage
		for range count {
			v := fmt.Sprint(n)
			batch = append(batch, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("key " + v), Value: sarama.StringEncoder(v),
				Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("x")}}})
			n++
		}
		if err := p.SendMessages(batch); err != nil {
			t.Fatalf("%v: %v", codec, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	list := newChecklist(t)
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	g, err := sarama.NewConsumerGroup([]string{broker}, "sarama-group", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h := &saramaHandler{list: list, want: n, done: cancel, c: make(chan *sarama.ConsumerMessage)}
	go h.collect(ctx)
	if err := g.Consume(ctx, []string{topic}, h); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	list.check(n)
}

type saramaHandler struct {
	list *checklist
	want int
	done func()
	c    chan *sarama.ConsumerMessage
}

func (h *saramaHandler) collect(ctx context.Context) {
	for {
		select {
		case m := <-h.c:
			h.list.add(m.Key, m.Value, len(m.Headers))
			if h.list.full(h.want) {
				h.done()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h *saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				return nil
			}
			select {
			case h.c <- m:
			case <-s.Context().Done():
				return nil
			}
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

func TestLibrdkafka(t *testing.T) {
	topic := "rdkafka"
	admin, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": broker})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	made, err := admin.CreateTopics(t.Context(), []kafka.TopicSpecification{{Topic: topic, NumPartitions: 3, ReplicationFactor: 1}})
	if err != nil || made[0].Error.Code() != kafka.ErrNoError {
		t.Fatal(err, made)
	}
	n := 0
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		p, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": broker, "enable.idempotence": true, "compression.type": codec})
		if err != nil {
			t.Fatal(err)
		}
		delivered := make(chan kafka.Event, count)
		for range count {
			v := fmt.Sprint(n)
			n++
			m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: []byte("key " + v), Value: []byte(v),
				Headers: []kafka.Header{{Key: "h", Value: []byte("x")}}}
			if err := p.Produce(m, delivered); err != nil {
				t.Fatal(err)
			}
		}
		for range count {
			if m := (<-delivered).(*kafka.Message); m.TopicPartition.Error != nil {
				t.Fatalf("%s: %v", codec, m.TopicPartition.Error)
			}
		}
		p.Close()
	}
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": broker, "group.id": "rdkafka-group", "auto.offset.reset": "earliest"})
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	if err := consumer.Subscribe(topic, nil); err != nil {
		t.Fatal(err)
	}
	list := newChecklist(t)
	for deadline := time.Now().Add(time.Minute); !list.full(n) && time.Now().Before(deadline); {
		if m, err := consumer.ReadMessage(time.Second); err == nil {
			list.add(m.Key, m.Value, len(m.Headers))
		}
	}
	list.check(n)
	if _, err := consumer.Commit(); err != nil {
		t.Errorf("commit: %v", err)
	}
}
