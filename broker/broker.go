// Package broker serves Kafka's requests: it accepts connections,
// decodes frames, dispatches by one table, and answers in order.
//
// It promises that every request gets Kafka's documented answer or a closed
// connection with a log line, that one client costs bounded memory whatever it
// sends, and that no client can hold up another. It keeps no record: partitions,
// groups and the cluster's view do.
package broker

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/auth/sasl"
	"varve/auth/token"
	"varve/cluster"
	"varve/group"
	"varve/internal/chance"
	"varve/internal/id"
	"varve/metadata"
	"varve/meter"
	"varve/partition"
	"varve/telemetry"
)

// Partitions are those that this agent owns.
type Partitions interface {
	// Get returns an owned partition, or nil.
	Get(p id.Partition) *partition.Partition
	// Changed returns a channel that is closed when the next partition is served. Take it
	// before looking.
	Changed() <-chan struct{}
}

// Journal is the disk that this agent's journals are on (wal.Store).
type Journal interface {
	// Pressure returns how full the journal is between the marks at which producers are slowed
	// down and refused, from 0 to 1.
	Pressure() float64
	// Space returns the free and the total bytes of the disk.
	Space() (free, total int64, err error)
}

// Deps are what a broker needs from the agent.
type Deps struct {
	View       *cluster.View
	Editor     *cluster.Editor
	Store      metadata.Store
	Partitions Partitions
	TierShare  func() int // how many bytes one answer should read from the tier just now
	Journal    Journal
	Groups     *group.Groups
	Secret     []byte         // schema.Security's
	Random     *chance.Source // nil is the system's
	Log        *slog.Logger
	LogLevel   *slog.LevelVar // of Log; nil: it can't be changed
	Registry   prometheus.Registerer
	ClusterID  string
	Self       id.Broker
	Replicas   int // members of a journal's ensemble
	DataDir    string
	Security   Security
	Audit      *slog.Logger  // authentications, denials, changes of users and ACLs; nil is Log
	Bearer     BearerCheck   // checks tokens; nil: no listener has OAUTHBEARER
	Kerberos   KerberosCheck // checks tickets; nil: no listener has GSSAPI
	Tokens     *token.Issuer // of delegation tokens; nil: there are none

	ClientMetrics *telemetry.Series // what clients push
	Clients       *meter.Clients    // what clients ask
}

// Broker serves Kafka's protocol: it accepts connections, and dispatches their requests to
// the handlers of its table. A handler is a method of the type that holds what it needs.
type Broker struct {
	cfg                        Config
	log                        *slog.Logger
	metrics                    *metrics
	authorizer                 *authorizer
	apis                       apiTable
	memory, small              *pool // bytes of large and of small frames that are being worked on
	decoding                   *pool // bytes of decoded frames; a holder waits for no other pool but that of answers about tokens, whose holders wait for none
	conns                      *connections
	quotas                     *quotas
	clients                    *meter.Clients
	sasl                       *sasl.Server
	auth                       *authentication
	badClients, refusedClients *quiet // whose connections ended for what they sent, or were too many
}

// New makes a broker; Serve accepts connections.
func New(cfg Config, deps Deps) (*Broker, error) {
	deps.ClientMetrics = cmp.Or(deps.ClientMetrics, telemetry.NewSeries(0))
	deps.Clients = cmp.Or(deps.Clients, meter.NewClients(0))
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(deps.Registry)
	deps.Audit = cmp.Or(deps.Audit, deps.Log, slog.New(slog.DiscardHandler))
	decides := newAuthorizer(&deps, m)
	apis := newTable(&cfg, &deps, m, decides)
	m.prepare(apis)
	b := &Broker{cfg: cfg, log: deps.Log, metrics: m, authorizer: decides, apis: apis, conns: newConnections(cfg), quotas: newQuotas(&deps), clients: deps.Clients, sasl: newSASL(&deps), auth: newAuthentication(&deps, m),
		badClients: m.quiet("connection closed", 4), refusedClients: m.quiet("connection refused", 4),
		memory: newPool(cfg.RequestMemoryBytes), small: newPool(cfg.SmallRequestBytes), decoding: newPool(cfg.RequestMemoryBytes)}
	b.conns.waiting = b.auth.metrics.waiting
	return b, nil
}

// Config bounds what clients may do.
type Config struct {
	AutoCreateTopics    bool          `yaml:"auto_create_topics" doc:"create a topic when a client that allows it asks for its metadata"`
	DefaultPartitions   int32         `yaml:"default_partitions" doc:"number of partitions of a topic created without one"`
	MaxRequestBytes     int           `yaml:"max_request_bytes" share:"memory" doc:"maximum size of a request, in bytes; only Produce requests may be as large"`
	RequestMemoryBytes  int64         `yaml:"request_memory_bytes" share:"memory" doc:"memory for requests above 2 MiB that are being processed, and as much again for decoded smaller ones, in bytes"`
	SmallRequestBytes   int64         `yaml:"small_request_memory_bytes" share:"memory" doc:"memory for requests of 16 KiB to 2 MiB that are arriving or being processed, in bytes"`
	FetchMemoryBytes    int64         `yaml:"fetch_memory_bytes" share:"memory" doc:"memory for records that fetches copy because they are not in the cache of recent records, in bytes; when it is in use, responses are smaller or later"`
	FetchMaxBytes       int           `yaml:"fetch_max_bytes" doc:"maximum size of a fetch response, in bytes"`
	FetchSessions       int           `yaml:"fetch_sessions" doc:"maximum number of incremental fetch sessions (KIP-227)"`
	MaxConnections      int           `yaml:"max_connections" share:"memory" doc:"maximum number of client connections; at most half of them may be of clients that have to authenticate themselves and have not yet"`
	MaxConnectionsPerIP int           `yaml:"max_connections_per_ip" doc:"maximum number of client connections from one address"`
	PerIPOverrides      []string      `yaml:"max_connections_per_ip_overrides" doc:"other maximums for some addresses, each as ADDRESS:NUMBER"`
	IdleTimeout         time.Duration `yaml:"idle_timeout" doc:"close a connection after this long without a request"`
	RequestTimeout      time.Duration `yaml:"request_timeout" doc:"close a connection whose request has not arrived after this long, plus the time that its bytes may take at min_request_rate; or whose client has not authenticated itself after this long, where the listener asks for it"`
	MinRequestRate      int           `yaml:"min_request_rate" doc:"minimum rate at which a request must arrive, in bytes per second; a request above 2 MiB, which uses shared memory, must arrive 16 times as fast"`
	MaxCommitBytes      int           `yaml:"max_commit_bytes" share:"memory" doc:"maximum size of an OffsetCommit request, in bytes"`
	MaxOtherBytes       int           `yaml:"max_other_request_bytes" share:"memory" doc:"maximum size of a request of any API other than Produce and OffsetCommit, in bytes; once decoded it may take 32 times as much memory"`
	WriteTimeout        time.Duration `yaml:"write_timeout" doc:"close a connection whose client accepts no bytes of a response for this long"`
	MaxThrottle         time.Duration `yaml:"max_throttle" doc:"longest delay of a produce request while the journal is filling up"`
	// SessionPartitions is how many partitions all fetch sessions together may follow: about
	// 300 bytes each.
	SessionPartitions int `yaml:"-"`
}

// DefaultConfig is Kafka's where Kafka has the setting.
func DefaultConfig() Config {
	return Config{
		AutoCreateTopics: true, DefaultPartitions: 1, MaxRequestBytes: 100 << 20, RequestMemoryBytes: 128 << 20, SmallRequestBytes: 256 << 20, FetchMemoryBytes: 256 << 20,
		FetchMaxBytes: 55 << 20, FetchSessions: 1000, MinRequestRate: 4 << 10, MaxCommitBytes: 16 << 20, MaxOtherBytes: 2 << 20, MaxConnections: 10000, MaxConnectionsPerIP: 10000,
		IdleTimeout: 10 * time.Minute, RequestTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, MaxThrottle: time.Second, SessionPartitions: 1 << 19,
	}
}
