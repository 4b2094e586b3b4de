package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/bench"
)

// produceFlags are the flags of produce.
type produceFlags struct {
	kafka       kafkaFlags
	out         jsonFlag
	file        string
	delimiter   string
	keyDelim    string
	emptyAsNull bool
	partition   int32
	headers     []string
	compression string
	acks        string
	linger      time.Duration
	maxRecord   int
}

// producedSum is what produce tells.
type producedSum struct {
	Topic   string  `json:"topic"`
	Records int64   `json:"records"`
	Bytes   int64   `json:"bytes"` // of keys and values
	Seconds float64 `json:"secs"`
	Failed  int64   `json:"failed"`
}

func produceCommand() *cobra.Command {
	var p produceFlags
	c := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Write lines as records",
		Long: `Write each line of standard input, or of a file, as a record. A line without its end is
the record's value; with --key-delimiter what stands before the first delimiter is its key.
The producer is idempotent unless --acks asks for less: order is kept and nothing is
written twice. A topic that does not exist is created if the broker does that.

When a record fails, reading stops, what is under way is waited for, and the exit code is
not 0.`,
		Example: `  echo hello | varve produce greetings
  varve produce orders --key-delimiter : --file orders.txt --compression zstd
  echo stop | varve produce commands --partition 0 --header from=me`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.kafka.topicNames,
		RunE: func(c *cobra.Command, args []string) error {
			return p.run(c.Context(), args[0], c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	p.kafka.add(c.Flags())
	p.out.add(c, producedSum{})
	f := c.Flags()
	f.StringVarP(&p.file, "file", "f", "", "read this file instead of standard input")
	f.StringVarP(&p.delimiter, "delimiter", "D", `\n`, `what ends a record: one character, or \n, \r, \t, \0`)
	f.StringVarP(&p.keyDelim, "key-delimiter", "K", "", `what ends a key; empty: there are no keys`)
	f.BoolVar(&p.emptyAsNull, "empty-as-null", false, "empty keys and values are null; a null value is a tombstone to what compacts a topic")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to this partition; -1: by key, or spread")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "a header of every record, NAME=VALUE; may be repeated")
	f.StringVarP(&p.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "all, 1 or 0; less than all is not idempotent")
	f.DurationVar(&p.linger, "linger", 5*time.Millisecond, "how long a batch waits for more records")
	f.IntVar(&p.maxRecord, "max-record-bytes", 1<<20, "the longest line that is taken")
	return c
}

func (p *produceFlags) options(topic string) ([]kgo.Opt, error) {
	o := []kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(p.linger), kgo.RecordDeliveryTimeout(p.kafka.timeout),
		kgo.MaxBufferedRecords(100_000), kgo.MaxBufferedBytes(max(64<<20, 2*p.maxRecord)), kgo.ProducerBatchMaxBytes(int32(p.maxRecord + 64<<10))}
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	codec, ok := codecs[p.compression]
	if !ok {
		return nil, usagef("--compression is %q: must be none, gzip, snappy, lz4 or zstd", p.compression)
	}
	o = append(o, kgo.ProducerBatchCompression(codec))
	switch p.acks {
	case "all", "-1":
		o = append(o, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		o = append(o, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		o = append(o, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usagef("--acks is %q: must be all, 1 or 0", p.acks)
	}
	if p.maxRecord < 1 || p.maxRecord > 512<<20 {
		return nil, usagef("--max-record-bytes is %d: must be 1 to %d", p.maxRecord, 512<<20)
	}
	if p.partition >= 0 {
		o = append(o, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return o, nil
}

func (p *produceFlags) run(ctx context.Context, topic string, in io.Reader, out, stderr io.Writer) error {
	opts, err := p.options(topic)
	if err != nil {
		return err
	}
	lines, err := p.lines()
	if err != nil {
		return err
	}
	var total int64
	if p.file != "" {
		f, err := os.Open(p.file)
		if err != nil {
			return usageError{err}
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			total = info.Size()
		}
		in = f
	}
	cl, err := p.kafka.client(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	w := &producing{cl: cl, partition: p.partition}
	shown := startProgress(stderr, progress{meter: &w.meter, total: total, done: lines.read.Load})
	start := time.Now()
	err = w.all(ctx, lines, in)
	shown.Close()
	sum := producedSum{topic, w.meter.Records.Load(), w.meter.Bytes.Load(), time.Since(start).Seconds(), w.failed.Load()}
	if p.out.on {
		err = errors.Join(err, writeJSON(out, sum))
	} else {
		fmt.Fprintf(stderr, "%d records, %s, %s/s\n", sum.Records, byteSize(sum.Bytes), byteSize(int64(float64(sum.Bytes)/sum.Seconds)))
	}
	return err
}

// producing sends records until one fails.
type producing struct {
	cl        *kgo.Client
	partition int32
	meter     bench.Meter
	failed    atomic.Int64
	once      sync.Once
	err       error // the first; read after Flush
}

func (w *producing) all(ctx context.Context, lines *lineReader, in io.Reader) error {
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	reading := lines.each(sending, in, func(r *kgo.Record) {
		r.Partition = w.partition
		size := int64(len(r.Key) + len(r.Value))
		w.cl.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err == nil {
				w.meter.Bytes.Add(size)
				w.meter.Records.Add(1)
				return
			}
			w.failed.Add(1)
			w.once.Do(func() { w.err = err })
			stop(err)
		})
	})
	flushed := w.cl.Flush(ctx)
	switch {
	case w.failed.Load() > 0:
		return sayKafka(fmt.Sprintf("produce: %d records were not written, the first", w.failed.Load()), w.err, "")
	case ctx.Err() != nil:
		return quietError{exitFailed} // interrupted; the sum says how far it came
	case reading != nil:
		return reading
	}
	return flushed
}
