// Package bench measures any broker that speaks Kafka's protocol: how much it
// takes and serves, how long that takes, and what CPU and memory it costs.
//
// The raw modes leave a client's own cost out: requests are encoded once and
// sent again and again, and what is fetched is walked by batch headers only. The
// other modes use a real client. Memory is bounded whatever the duration;
// latencies are kept in a histogram with an error below 1 %. It never creates or
// deletes anything but the records it writes, and a topic that Prepare was asked
// to create.
package bench

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
)

// Config is what is measured. Start from Default.
type Config struct {
	Brokers  []string
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error) // to a broker, with TLS if it wants that; nil is plain
	SASL     sasl.Mechanism                                                    // nil: no authentication
	Topic    string
	Duration time.Duration // how long is measured at most
	Bytes    int64         // stop when this much was read; 0: no bound

	RecordBytes int    // size of a value
	BatchBytes  int    // size of a record batch, about
	Random      bool   // values that can't be compressed, instead of text like a log's
	Acks        int16  // -1 all, 1 leader, 0 none
	Compression string // none, gzip, snappy, lz4, zstd: of real clients
	Idempotent  bool   // of real producers
	Linger      time.Duration
	Rate        int // records per second over all; 0: as fast as it goes

	Connections int // raw: per leader; otherwise: clients
	Depth       int // rawproduce: requests in flight per connection
	Fan         int // rawproduce: partitions in one request

	Every time.Duration // gap: pause of a partition after each record

	Groups     int // commit: groups of each client
	TxnRecords int // txn: records of each transaction

	MaxWait           time.Duration // of a fetch
	FetchBytes        int           // of a fetch
	PartitionBytes    int           // of a partition in a fetch
	PIDs              []int         // broker processes, for CPU and memory
	Meter             *Meter        // counts while it runs; may be nil
	RoundRobinRecords bool          // produce: every record to another partition
}

// Default measures a broker on this host for ten seconds.
func Default() Config {
	return Config{Brokers: []string{"127.0.0.1:9092"}, Topic: "bench", Duration: 10 * time.Second, RecordBytes: 1024, BatchBytes: 1 << 20, Acks: -1,
		Compression: "none", Linger: 5 * time.Millisecond, Connections: 1, Depth: 4, Fan: 1, Every: 20 * time.Millisecond, Groups: 1, TxnRecords: 10, MaxWait: 500 * time.Millisecond,
		FetchBytes: 50 << 20, PartitionBytes: 1 << 20}
}

// Validate names the first field that is wrong, its value, and what is allowed.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name             string
		value, low, high int64
	}{
		{"record size", int64(c.RecordBytes), 8, 64 << 20},
		{"batch size", int64(c.BatchBytes), 128, 64 << 20},
		{"rate", int64(c.Rate), 0, 1 << 30},
		{"connections", int64(c.Connections), 1, 10_000},
		{"depth", int64(c.Depth), 1, 10_000},
		{"fan", int64(c.Fan), 1, 100_000},
		{"number of groups", int64(c.Groups), 1, 10_000},
		{"number of records in a transaction", int64(c.TxnRecords), 1, 100_000},
		{"fetch size", int64(c.FetchBytes), 1, 1 << 30},
		{"partition fetch size", int64(c.PartitionBytes), 1, 1 << 30},
		{"acks", int64(c.Acks), -1, 1},
		{"bytes", c.Bytes, 0, 1 << 62},
	} {
		if f.value < f.low || f.value > f.high {
			return fmt.Errorf("%s is %d: must be %d to %d", f.name, f.value, f.low, f.high)
		}
	}
	if c.Duration <= 0 {
		return fmt.Errorf("duration is %v: must be more than 0", c.Duration)
	}
	if c.Every < 0 {
		return fmt.Errorf("pause is %v: must be 0 or more", c.Every)
	}
	if c.Acks != -1 && c.Idempotent {
		return fmt.Errorf("acks is %d: an idempotent producer needs all", c.Acks)
	}
	if _, err := codec(c.Compression); err != nil {
		return err
	}
	return nil
}

// Meter counts what was done so far; it may be read at any time.
type Meter struct {
	Bytes, Records atomic.Int64
}

func (m *Meter) add(bytes, records int64) {
	if m != nil {
		m.Bytes.Add(bytes)
		m.Records.Add(records)
	}
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Result is what was measured; fields that a mode does not measure are left out.
// MB are 10^6 bytes: of values in the modes with clients, of record batches in
// the raw ones.
type Result struct {
	Mode       string   `json:"mode"`
	Seconds    float64  `json:"secs"`
	Records    int64    `json:"records"`
	MB         float64  `json:"mb"`
	MBs        float64  `json:"mb_s"`
	Msgs       float64  `json:"msg_s"`
	Requests   float64  `json:"req_s,omitempty"`
	Errors     int64    `json:"errors"`
	FirstError string   `json:"first_error,omitempty"`
	FirstMs    float64  `json:"first_ms,omitempty"` // until the first record was read
	Latency    *Latency `json:"lat_ms,omitempty"`   // of requests, or of produced records
	EndToEnd   *Latency `json:"e2e_ms,omitempty"`   // from before produce to after poll
	Received   int64    `json:"received,omitempty"`
	Partitions int      `json:"partitions,omitempty"`
	Gap        *Latency `json:"gap_ms,omitempty"` // over partitions: each one's longest time without an acknowledgement
	// Offset commits and transactions per second, and how long the end of one takes.
	Commits      float64  `json:"commit_s,omitempty"`
	Transactions float64  `json:"txn_s,omitempty"`
	Commit       *Latency `json:"commit_ms,omitempty"`

	CPUPerGB float64 `json:"cpu_s_per_gb,omitempty"`
	CPUCores float64 `json:"cpu_cores,omitempty"`
	RSSMB    float64 `json:"rss_mb,omitempty"`
}

// rates fills in what follows from a duration.
func (r *Result) rates(took time.Duration, bytes, records int64) {
	r.Seconds = took.Seconds()
	r.Records, r.MB = records, float64(bytes)/1e6
	r.MBs, r.Msgs = r.MB/r.Seconds, float64(records)/r.Seconds
}
