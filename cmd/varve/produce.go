package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/say"
)

// produceFlags are the flags of produce.
type produceFlags struct {
	kafka       kafkaFlags
	out         jsonFlag
	file        string
	format      string
	delimiter   string
	key         string
	keyDelim    string
	keyAs       string
	valueAs     string
	tombstone   bool
	emptyAsNull bool
	partition   int32
	timestamp   string
	headers     []string
	report      string
	compression string
	acks        string
	linger      time.Duration
	maxRecord   int
	keyed       bool // --key was given, perhaps empty
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
		Long: `Write each line of standard input, or of a file, as a record. Each line, without its
newline, becomes a record's value; with --key-delimiter, text before the first delimiter is
the key, and with --format a line has more in it. The producer is idempotent unless --acks
asks for less: order is kept and nothing is written twice. A topic that does not exist is
created if the cluster does that.

Batches are as large as the topic's max.message.bytes allows. On the first failure varve stops
reading, waits for records in flight and exits non-zero; the message names the first line
that was not written. A record that is not acknowledged within --timeout is such a failure.

--format: ` + inputFormatHelp + `

--output-format writes what became of each record: ` + formatHelp + ``,
		Example: `  echo hello | varve produce greetings
  varve produce orders --key-delimiter : --file orders.txt --compression zstd
  echo stop | varve produce commands --partition 0 --header from=me
  echo '{"total": 3}' | varve produce orders --key 17 --output-format '%p %o\n'
  varve produce orders --key 17 --tombstone </dev/null
  varve consume orders -f json | varve produce copy -f json
  echo '17 aGVsbG8=' | varve produce orders -f '%k %v{base64}\n'`,
		Args:              p.args,
		ValidArgsFunction: p.kafka.topicNames,
		RunE: func(c *cobra.Command, args []string) error {
			p.keyed = c.Flags().Changed("key")
			topic := ""
			if len(args) > 0 {
				topic = args[0]
			}
			return p.run(c.Context(), topic, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	p.kafka.add(c.Flags())
	c.Flags().Lookup("timeout").Usage = "how long to wait for an acknowledgement"
	p.out.add(c, producedSum{})
	p.addFlags(c)
	topicsFlag(c, p.kafka.topicNames)
	return c
}

func (p *produceFlags) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.file, "file", "", "read this file instead of standard input")
	f.StringVarP(&p.format, "format", "f", "", "what is in a line, such as '%k %v\\n', or json")
	f.StringVarP(&p.delimiter, "delimiter", "D", `\n`, `what ends a record: one character, or \n, \r, \t, \0`)
	f.StringVarP(&p.key, "key", "k", "", "key of every record")
	f.StringVarP(&p.keyDelim, "key-delimiter", "K", "", `what ends a key; empty: there are no keys`)
	f.StringVar(&p.keyAs, "key-encoding", "text", "how keys are written in the input: "+encodingsHelp)
	f.StringVar(&p.valueAs, "value-encoding", "text", "how values are written in the input: "+encodingsHelp)
	f.BoolVarP(&p.tombstone, "tombstone", "Z", false, "an empty value is null, a tombstone to what compacts a topic; with --key and no input, write one")
	f.BoolVar(&p.emptyAsNull, "empty-as-null", false, "empty keys and values are null")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to this partition; -1: by key, or spread")
	f.StringVar(&p.timestamp, "timestamp", "", "time of every record; empty: now")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "a header of every record, NAME=VALUE or NAME:VALUE; may be repeated")
	f.StringVarP(&p.report, "output-format", "o", "", "write a line for each record that was acknowledged, such as '%p %o\\n', or json")
	f.StringVarP(&p.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "all, 1 or 0; less than all is not idempotent")
	f.DurationVar(&p.linger, "linger", 5*time.Millisecond, "how long a batch waits for more records")
	f.IntVar(&p.maxRecord, "max-record-bytes", maxLine, "the longest line that is accepted, if the topic takes it")
	completeValues(c, "compression", compressions...)
	completeValues(c, "acks", "all", "1", "0")
	completeValues(c, "key-encoding", encodingNames...)
	completeValues(c, "value-encoding", encodingNames...)
}

// args requires a topic, unless it is in the input.
func (p *produceFlags) args(c *cobra.Command, args []string) error {
	if f, err := p.template(); err == nil && f != nil && f.topics && len(args) == 0 {
		return nil
	}
	return cobra.ExactArgs(1)(c, args)
}

// compressions are the names of codecs, as --compression has them.
var compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func (p *produceFlags) options() ([]kgo.Opt, error) {
	o := []kgo.Opt{kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(p.linger), kgo.MaxBufferedRecords(100_000)}
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	codec, ok := codecs[p.compression]
	if !ok {
		return nil, usagef("--compression is %q: must be none, gzip, snappy, lz4 or zstd", p.compression)
	}
	o = append(o, kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(named{kgo.StickyKeyPartitioner(nil)}))
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
	if p.maxRecord < 1 || p.maxRecord > maxLine {
		return nil, usagef("--max-record-bytes is %d: must be 1 to %d", p.maxRecord, maxLine)
	}
	if p.partition < -1 {
		return nil, usagef("--partition is %d: must be 0 or more, or -1", p.partition)
	}
	if p.out.on && p.report != "" {
		return nil, usagef("--json and --output-format exclude each other: both write to standard output")
	}
	return o, nil
}

func (p *produceFlags) run(ctx context.Context, topic string, in io.Reader, out, stderr io.Writer) error {
	opts, err := p.options()
	if err != nil {
		return err
	}
	lines, err := p.lines()
	if err != nil {
		return err
	}
	report, err := reporter(p.report, out)
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
	w := &producing{flags: p, topic: topic, opts: opts, report: report}
	if err := w.open(ctx); err != nil {
		return err
	}
	defer w.close()
	shown := &progress{}
	if isTerminal(in) {
		fmt.Fprintln(stderr, "Each line becomes a record. Ctrl-D ends.")
	} else {
		shown = startProgress(stderr, progress{meter: &w.meter, total: total, done: lines.read.Load})
	}
	start := time.Now()
	err = w.all(ctx, lines, in)
	shown.Close()
	sum := producedSum{topic, w.meter.Records.Load(), w.meter.Bytes.Load(), time.Since(start).Seconds(), w.failed.Load()}
	if p.out.on {
		err = errors.Join(err, writeJSON(out, sum))
	} else {
		fmt.Fprintf(stderr, "%s, %s, %s/s\n", say.Count(sum.Records, "record"), say.Bytes(sum.Bytes), say.Bytes(int64(float64(sum.Bytes)/sum.Seconds)))
	}
	return err
}
