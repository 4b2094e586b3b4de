//go:build full

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"varve/internal/oddbatch"
	"varve/kafka"
)

var writeVerdicts = flag.Bool("write-verdicts", false, "write Kafka's answers to odd batches to internal/oddbatch/testdata")

// TestOddBatchesAgainstKafka produces some hundred batches, most of them wrong in one way,
// to Apache Kafka and to Varve. Both must give the same verdict, store the same header and
// records, find the same offsets by time, and keep the same records after retention; but
// for the differences that oddbatch.Same names.
func TestOddBatchesAgainstKafka(t *testing.T) {
	t.Parallel()
	now := time.Now().UnixMilli()
	cases := oddbatch.All(now)
	peer := kafkaBroker(t, "log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500", "log.message.timestamp.before.max.ms=9223372036854775807")
	s := newSite(t, "--retention-interval", "200ms", "--upload-max-age", "200ms")
	s.start()
	theirs, ours := produceOdd(t, peer, cases, now), produceOdd(t, s.kafka, cases, now)
	if *writeVerdicts {
		b, err := json.MarshalIndent(theirs, "", " ")
		if err == nil {
			err = os.WriteFile("../internal/oddbatch/testdata/kafka-4.3.1.json", append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	differing := 0
	for _, c := range cases {
		if !oddbatch.Same(c, theirs[c.Name], ours[c.Name]) {
			differing++
			t.Errorf("%q %v:\n  Kafka %+v\n  Varve %+v", c.Name, c.Settings, theirs[c.Name], ours[c.Name])
		}
	}
	t.Logf("%d cases, %d refused by Kafka, %d differ", len(cases), countRefused(theirs), differing)
}

func countRefused(all map[string]oddbatch.Outcome) (n int) {
	for _, o := range all {
		if o.Error != "" {
			n++
		}
	}
	return n
}

// produceOdd produces each case to a topic of its own and reads back what became of it.
func produceOdd(t *testing.T, broker string, cases []oddbatch.Case, now int64) map[string]oddbatch.Outcome {
	t.Helper()
	cl := clientOfVersion(t, broker, 12)
	adm := kadm.NewClient(cl)
	names := make([]string, len(cases))
	create := kmsg.NewPtrCreateTopicsRequest()
	create.TimeoutMillis = 60_000
	for i, c := range cases {
		names[i] = fmt.Sprint("odd-", i)
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = names[i], 1, 1
		forever := "-1"
		rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "retention.ms", Value: &forever})
		for k, v := range c.Settings {
			rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
		}
		create.Topics = append(create.Topics, rt)
	}
	created, err := create.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for i, rt := range created.Topics {
		if err := kerr.ErrorForCode(rt.ErrorCode); err != nil {
			t.Fatalf("create a topic for %q: %v", cases[i].Name, err)
		}
	}
	results := map[string]oddbatch.Outcome{}
	clients := map[int16]*kgo.Client{12: cl}
	for i, c := range cases {
		if clients[c.Version] == nil {
			clients[c.Version] = clientOfVersion(t, broker, c.Version)
		}
		results[c.Name] = outcomeOf(t, clients[c.Version], cl, names[i], c, now)
	}
	awaitRetention(t, adm, cases, names, results)
	return results
}

func clientOfVersion(t *testing.T, broker string, produce int16) *kgo.Client {
	t.Helper()
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), produce)
	v.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.MaxVersions(v), kgo.RetryTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func outcomeOf(t *testing.T, producer, cl *kgo.Client, topic string, c oddbatch.Case, now int64) (o oddbatch.Outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer := produceRaw(t, ctx, producer, topic, c.Records)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		o.Error = err.(*kerr.Error).Message
		for _, r := range answer.ErrorRecords {
			o.Records = append(o.Records, r.RelativeOffset)
		}
		return o
	}
	b := fetchRaw(t, ctx, cl, topic)
	o.Stored, o.Body = oddbatch.Header(b, now), oddbatch.Body(b)
	o.Offsets = offsetsByTime(t, ctx, cl, topic, now, b.IsLogAppendTime())
	return o
}

func produceRaw(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, records []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rt.Partitions = append(rt.Partitions, kmsg.ProduceRequestTopicPartition{Records: records})
	req.Topics = append(req.Topics, rt)
	var answer kmsg.ProduceResponseTopicPartition
	poll(t, 30*time.Second, "leader of "+topic, func() error { // Kafka creates topics in the background
		resp, err := cl.Broker(1).Request(ctx, req)
		if err != nil {
			return err
		}
		answer = resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(answer.ErrorCode); err == kerr.UnknownTopicOrPartition || err == kerr.NotLeaderForPartition {
			return err
		}
		return nil
	})
	return answer
}

func fetchRaw(t *testing.T, ctx context.Context, cl *kgo.Client, topic string) kafka.Batch {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 5000, 1, 1<<24
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = 1<<24, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := cl.Broker(1).Request(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	b, _, err := kafka.Next(p.RecordBatches)
	if err != nil {
		t.Fatalf("fetch %s: error code %d, %v", topic, p.ErrorCode, err)
	}
	return b
}

func offsetsByTime(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, now int64, late bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	ask := func(name string, at int64) {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp, rp.CurrentLeaderEpoch = at, -1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := cl.Broker(1).Request(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		p := resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		found[name] = fmt.Sprint(p.Offset)
		if !late && p.Timestamp != -1 {
			found[name] += " at " + oddbatch.Time(p.Timestamp, now)
		}
		if p.ErrorCode != 0 {
			found[name] = kerr.ErrorForCode(p.ErrorCode).Error()
		}
	}
	for _, d := range oddbatch.Sought {
		if oddbatch.Seekable(d, late) {
			ask(oddbatch.At(d), now+d)
		}
	}
	ask("newest", -3)
	return found
}

// awaitRetention sets a retention of a week and notes what stays, once something is gone
// and no more goes for many passes of retention.
func awaitRetention(t *testing.T, adm *kadm.Client, cases []oddbatch.Case, names []string, results map[string]oddbatch.Outcome) {
	t.Helper()
	week := "604800000"
	var topics []string
	for i, c := range cases {
		if results[c.Name].Error == "" && !strings.Contains(c.Settings["cleanup.policy"], "compact") {
			topics = append(topics, names[i])
		}
	}
	for part := range slices.Chunk(topics, 100) {
		if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &week}}, part...); err != nil {
			t.Fatal(err)
		}
	}
	var starts kadm.ListedOffsets
	steady := 0
	last := 0
	poll(t, time.Minute, "retention settles", func() (err error) {
		if starts, err = adm.ListStartOffsets(t.Context(), names...); err != nil {
			return err
		}
		moved := 0
		starts.Each(func(o kadm.ListedOffset) {
			if o.Offset > 0 {
				moved++
			}
		})
		if steady++; moved != last || last == 0 {
			last, steady = moved, 0
		}
		if steady < 100 { // five seconds: ten passes of Kafka's, more of Varve's
			return fmt.Errorf("still moving")
		}
		return nil
	})
	for i, c := range cases {
		o := results[c.Name]
		if at, ok := starts.Lookup(names[i], 0); ok && o.Error == "" {
			o.Kept = at.Offset == 0
			results[c.Name] = o
		}
	}
}
