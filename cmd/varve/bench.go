package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"varve/internal/bench"
	"varve/internal/say"
)

// benchFlags are the flags of a benchmark.
type benchFlags struct {
	kafka      kafkaFlags
	out        jsonFlag
	cfg        bench.Config
	acks       string
	partitions int32
}

// benchMode is one of the benchmarks.
type benchMode struct {
	name, short, long, example string
	run                        func(context.Context, bench.Config) (*bench.Result, error)
	writes                     bool
	flags                      func(f *pflag.FlagSet, b *benchFlags)
}

func benchCommand() *cobra.Command {
	c := parent("bench", "Measure a broker that speaks Kafka's protocol")
	c.Long = `Measure a broker that speaks Kafka's protocol: this one or any other. Records are written
into --topic, which is created if it is absent; nothing is deleted. MB are 10^6 bytes.`
	for _, m := range benchModes() {
		c.AddCommand(m.command())
	}
	return c
}

func benchModes() []benchMode {
	return []benchMode{
		{"rawproduce", "Produce throughput without a client's cost",
			"Send one prepared, uncompressed batch again and again: --depth requests in flight on each of --connections connections to each leader.",
			"  varve bench rawproduce --batch 65536 --depth 4 --pids $(pidof varve)", bench.RawProduce, true,
			func(f *pflag.FlagSet, b *benchFlags) {
				addWriteFlags(f, b)
				f.IntVar(&b.cfg.Depth, "depth", b.cfg.Depth, "requests in flight on each connection")
				f.IntVar(&b.cfg.Fan, "fan", b.cfg.Fan, "partitions in each request, with a batch for each")
			}},
		{"rawfetch", "Fetch throughput without a client's cost",
			"Read every partition from its start to its end and look at batch headers only.",
			"  varve bench rawfetch --connections 6", bench.RawFetch, false, addReadFlags},
		{"produce", "Produce throughput of real clients",
			"Produce with --connections clients, as fast as it goes or at --rate records a second. Latencies are from produce to acknowledgement.",
			"  varve bench produce --size 1024 --compression zstd", bench.Produce, true,
			func(f *pflag.FlagSet, b *benchFlags) { addWriteFlags(f, b); addClientFlags(f, b) }},
		{"consume", "Consume throughput of real clients",
			"Consume from the start to where the end was at the beginning; several clients form a group, which is deleted afterwards.",
			"  varve bench consume --connections 2", bench.Consume, false, addReadFlags},
		{"e2e", "End-to-end latency at a fixed rate",
			"Produce at --rate and consume at the same time; latencies are from before produce to after poll, and from produce to acknowledgement.",
			"  varve bench e2e --rate 10000 --linger 0s", bench.EndToEnd, true,
			func(f *pflag.FlagSet, b *benchFlags) {
				b.cfg.Rate = 1000
				addWriteFlags(f, b)
				addClientFlags(f, b)
				f.DurationVar(&b.cfg.MaxWait, "max-wait", b.cfg.MaxWait, "how long a fetch waits at the broker")
			}},
		{"gap", "How long partitions take no records while brokers come and go",
			`Keep one record under way to each partition of the topic, and tell, over partitions, the
longest time that each went without an acknowledgement, the pause of --every included. Kill,
stop or move something beside it.`,
			"  varve bench gap --partitions 300 -d 20s", bench.Gap, true,
			func(f *pflag.FlagSet, b *benchFlags) {
				b.cfg.RecordBytes = 64
				f.IntVar(&b.cfg.RecordBytes, "size", b.cfg.RecordBytes, "size of a record's value in bytes")
				f.DurationVar(&b.cfg.Every, "every", b.cfg.Every, "pause of a partition after each record")
				f.Int32Var(&b.partitions, "partitions", 300, "partitions of a topic that has to be created")
				b.acks = "all"
			}},
		{"commit", "Rate and latency of offset commits",
			`Commit offsets of all partitions of the topic with --connections clients, each for one of its
--groups after another, one commit at a time. The groups are deleted afterwards.`,
			"  varve bench commit --connections 16", bench.Commits, false,
			func(f *pflag.FlagSet, b *benchFlags) {
				b.partitions = 6
				f.IntVar(&b.cfg.Groups, "groups", b.cfg.Groups, "groups of each client")
				f.Int32Var(&b.partitions, "partitions", b.partitions, "partitions of a topic that has to be created")
			}},
		{"txn", "Rate and latency of transactions",
			`Write transactions with --connections producers, each with a transactional id of its own. Each
transaction writes --records records, spread over the topic's partitions, and commits.`,
			"  varve bench txn --connections 16 --records 10", bench.Transactions, true,
			func(f *pflag.FlagSet, b *benchFlags) {
				b.acks = "all"
				f.IntVar(&b.cfg.RecordBytes, "size", b.cfg.RecordBytes, "size of a record's value in bytes")
				f.IntVar(&b.cfg.TxnRecords, "records", b.cfg.TxnRecords, "records of each transaction")
				f.BoolVar(&b.cfg.Random, "random", false, "values that can't be compressed, instead of text like a log's")
				f.Int32Var(&b.partitions, "partitions", 6, "partitions of a topic that has to be created")
			}},
		{"login", "Rate and latency of logins",
			"Connect, log in and close the connection with each of --connections clients, again and again. Records are logins.",
			"  varve bench login --connections 8 --user alice --password-file pw --sasl SCRAM-SHA-512", bench.Logins, false, func(*pflag.FlagSet, *benchFlags) {}},
		{"moves", "How long it takes to move all partitions of a topic",
			`Let every partition of the topic be led by the next of its replicas, and tell how long it
takes until the brokers say so of all of them. --duration is how long that may take.`,
			"  varve bench moves -t gap -d 60s", bench.Moves, false, func(*pflag.FlagSet, *benchFlags) {}},
	}
}

func addWriteFlags(f *pflag.FlagSet, b *benchFlags) {
	f.IntVar(&b.cfg.RecordBytes, "size", b.cfg.RecordBytes, "size of a record's value in bytes")
	f.IntVar(&b.cfg.BatchBytes, "batch", b.cfg.BatchBytes, "size of a record batch in bytes, about")
	f.BoolVar(&b.cfg.Random, "random", false, "values that can't be compressed, instead of text like a log's")
	f.StringVar(&b.acks, "acks", "all", "all, 1 or 0")
	f.Int32Var(&b.partitions, "partitions", 6, "partitions of a topic that has to be created")
}

func addClientFlags(f *pflag.FlagSet, b *benchFlags) {
	f.IntVar(&b.cfg.Rate, "rate", b.cfg.Rate, "records per second over all clients; 0: as fast as it goes")
	f.StringVar(&b.cfg.Compression, "compression", b.cfg.Compression, "none, gzip, snappy, lz4 or zstd")
	f.DurationVar(&b.cfg.Linger, "linger", b.cfg.Linger, "how long a batch waits for more records")
	f.BoolVar(&b.cfg.Idempotent, "idempotent", false, "idempotent producers")
	f.BoolVar(&b.cfg.RoundRobinRecords, "round-robin", false, "every record to another partition")
}

func addReadFlags(f *pflag.FlagSet, b *benchFlags) {
	f.Int64Var(&b.cfg.Bytes, "bytes", 0, "stop after N bytes; 0: at the end")
	f.IntVar(&b.cfg.FetchBytes, "fetch-bytes", b.cfg.FetchBytes, "most bytes of a fetch")
	f.IntVar(&b.cfg.PartitionBytes, "partition-bytes", b.cfg.PartitionBytes, "most bytes of a partition in a fetch")
	f.DurationVar(&b.cfg.MaxWait, "max-wait", b.cfg.MaxWait, "how long a fetch waits at the broker")
}

func (m benchMode) command() *cobra.Command {
	b := &benchFlags{cfg: bench.Default()}
	c := &cobra.Command{
		Use: m.name, Short: m.short, Long: m.long, Example: m.example, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.run(c.Context(), m, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	b.kafka.add(c.Flags())
	b.out.add(c, bench.Result{})
	f := c.Flags()
	f.Lookup("json").Usage = "write one line of JSON instead of a table"
	f.StringVarP(&b.cfg.Topic, "topic", "t", b.cfg.Topic, "topic to write or read")
	f.DurationVarP(&b.cfg.Duration, "duration", "d", b.cfg.Duration, "how long it runs at most")
	f.IntVarP(&b.cfg.Connections, "connections", "c", b.cfg.Connections, "raw: connections to each leader; otherwise: clients")
	f.IntSliceVar(&b.cfg.PIDs, "pids", nil, "the brokers' process ids on this host, to measure CPU and memory")
	m.flags(f, b)
	completeNames(c, "topic", b.kafka.topicNames)
	completeValues(c, "compression", compressions...)
	completeValues(c, "acks", "all", "1", "0")
	return c
}

func (b *benchFlags) run(ctx context.Context, m benchMode, out, stderr io.Writer) (err error) {
	t, err := b.kafka.target()
	if err != nil {
		return err
	}
	b.cfg.Brokers, b.cfg.Dial, b.cfg.SASL = t.seeds, t.dial, t.sasl
	if m.writes {
		if b.cfg.Acks, err = parseAcks(b.acks); err != nil {
			return err
		}
	}
	if err := b.cfg.Validate(); err != nil {
		return usageError{err}
	}
	if m.name == "e2e" && b.cfg.Rate == 0 {
		return usagef("--rate is 0: end-to-end latency needs a rate")
	}
	cl, err := b.kafka.client(ctx)
	if err != nil {
		return err
	}
	cl.Close()
	ctx, end := context.WithTimeout(ctx, b.cfg.Duration+b.kafka.timeout+bench.Grace)
	defer end()
	prepare, cancel := context.WithTimeout(ctx, b.kafka.timeout)
	defer cancel()
	if m.name == "txn" { // before a topic is made for it
		if err := bench.NeedTransactions(prepare, &b.cfg); err != nil {
			return sayKafka("bench "+m.name, err, "")
		}
	}
	if err := b.prepare(prepare, m, stderr); err != nil {
		return sayKafka("bench "+m.name, err, "")
	}
	b.cfg.Meter = new(bench.Meter)
	shown := startProgress(stderr, progress{meter: b.cfg.Meter, total: b.cfg.Bytes, limit: b.cfg.Duration})
	r, err := m.run(ctx, b.cfg)
	shown.Close()
	if err != nil {
		return sayKafka("bench "+m.name, err, "")
	}
	if m.writes {
		fmt.Fprintf(stderr, "the records stay in topic %[1]s; 'varve topic delete %[1]s' deletes them\n", b.cfg.Topic)
	}
	if b.out.on {
		err = writeJSONLine(out, r)
	} else {
		err = b.out.write(out, r, func(t *table) { printResult(t, r) })
	}
	if err == nil && r.Errors > 0 {
		return fmt.Errorf("bench %s: %s, the first: %s", m.name, say.Count(r.Errors, "error"), r.FirstError)
	}
	return err
}

// prepare makes what a mode works with.
func (b *benchFlags) prepare(ctx context.Context, m benchMode, stderr io.Writer) error {
	if m.name == "login" {
		return b.keepKeys()
	}
	created, err := bench.Prepare(ctx, &b.cfg, b.partitions)
	if created {
		fmt.Fprintf(stderr, "created topic %s with %s\n", b.cfg.Topic, say.Count(b.partitions, "partition"))
	}
	return err
}

// keepKeys has a password's keys computed once for all logins.
func (b *benchFlags) keepKeys() error {
	t, err := b.kafka.target()
	if err != nil {
		return err
	}
	conn := t.conn
	if conn.token || conn.user == "" {
		return nil
	}
	password, err := conn.secret()
	if err != nil {
		return err
	}
	kept, err := bench.KeepKeys(conn.saslMechanism(), conn.user, password)
	if kept != nil {
		b.cfg.SASL = kept
	}
	return err
}

func parseAcks(text string) (int16, error) {
	if text == "all" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 16)
	if err != nil || n < -1 || n > 1 {
		return 0, usagef("--acks is %q: must be all, 1 or 0", text)
	}
	return int16(n), nil
}

func printResult(t *table, r *bench.Result) {
	switch r.Mode {
	case "login":
		t.row(r.Mode, fmt.Sprintf("%s in %.2f s", say.Count(r.Records, "login"), r.Seconds))
		t.row("throughput", fmt.Sprintf("%.0f logins/s", r.Msgs))
	case "commit":
		t.row(r.Mode, fmt.Sprintf("%s of %s in %.2f s", say.Count(r.Records, "commit"), say.Count(r.Partitions, "partition"), r.Seconds))
		t.row("throughput", fmt.Sprintf("%.0f commits/s", r.Commits))
	default:
		t.row(r.Mode, fmt.Sprintf("%s, %.1f MB in %.2f s", say.Count(r.Records, "record"), r.MB, r.Seconds))
		t.row("throughput", fmt.Sprintf("%.1f MB/s", r.MBs), fmt.Sprintf("%.0f records/s", r.Msgs))
	}
	if r.Transactions > 0 {
		t.row("transactions", fmt.Sprintf("%.0f/s", r.Transactions))
	}
	if r.Requests > 0 {
		t.row("requests", fmt.Sprintf("%.0f/s", r.Requests))
	}
	if r.Mode == "moves" {
		t.row("moved", fmt.Sprintf("%s in %.2f s", say.Count(r.Partitions, "partition"), r.Seconds))
	}
	if r.FirstMs > 0 {
		t.row("first record", fmt.Sprintf("after %.1f ms", r.FirstMs))
	}
	if r.CPUCores > 0 || r.RSSMB > 0 {
		t.row("broker", fmt.Sprintf("%.2f CPU s/GB", r.CPUPerGB), fmt.Sprintf("%.2f cores", r.CPUCores), fmt.Sprintf("%.0f MB resident", r.RSSMB))
	}
	if r.Mode == "e2e" {
		t.row("received", say.Count(r.Received, "record"))
	}
	if r.Latency != nil || r.Commit != nil || r.EndToEnd != nil || r.Gap != nil {
		t.gap()
		t.row("LATENCY ms", "p50", "p90", "p99", "p99.9", "max")
	}
	for _, l := range []struct {
		name string
		of   *bench.Latency
	}{{latencyName[r.Mode], r.Latency}, {"commit", r.Commit}, {"end to end", r.EndToEnd}, {"gap", r.Gap}} {
		if l.of != nil {
			t.row(l.name, ms(l.of.P50), ms(l.of.P90), ms(l.of.P99), ms(l.of.P999), ms(l.of.Max))
		}
	}
}

// latencyName is what Result.Latency is of.
var latencyName = map[string]string{"login": "login", "commit": "commit", "txn": "transaction", "rawproduce": "request", "rawfetch": "request", "produce": "request", "e2e": "request"}

func ms(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
