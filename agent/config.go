package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"varve/auth/kerberos"
	"varve/auth/oauth"
	"varve/auth/token"
	"varve/broker"
	"varve/group"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
	"varve/tiering/garbage"
	"varve/tiering/read"
	"varve/tiering/retain"
	"varve/tiering/upload"
	"varve/wal"
	"varve/wal/replica"
)

// PeerConfig is the address at which the other agents reach this one.
type PeerConfig struct {
	Bind       string `yaml:"bind" doc:"host:port to listen on for replication from other agents; port 0 picks a free port; empty: none, for a cluster of one agent"`
	Advertised string `yaml:"advertised" doc:"host:port to advertise to other agents; empty: the bind address"`

	TLS replica.TLSConfig `yaml:"tls" doc:"mutual TLS between agents"`
}

// ReplicationConfig is how many agents keep each journal.
type ReplicationConfig struct {
	Factor         int           `yaml:"factor" doc:"number of agents that keep each journal, including the writer; 1 to 7"`
	Quorum         int           `yaml:"quorum" doc:"number of agents that must have a record on disk before it is acknowledged; more than half of factor"`
	GatherFor      time.Duration `yaml:"gather_for" doc:"longest time that a starting agent waits for as many agents as factor asks for, before it starts with a quorum"`
	ReplaceAfter   time.Duration `yaml:"replace_after" doc:"how long a journal member may be unavailable before another agent replaces it"`
	replica.Config `yaml:",inline"`
}

// LogConfig is what is logged.
type LogConfig struct {
	Level        string `yaml:"level" doc:"debug, info, warn or error. It can be changed at run time (docs/operations.md)"`
	Format       string `yaml:"format" doc:"text or json"`
	MaxPerMinute int    `yaml:"max_per_minute" doc:"maximum number of lines a minute with the same text; the others are counted in varve_log_lines_not_logged_total. Debug lines and the audit log are not limited. 0: no limit"`
}

// Config is an agent's whole configuration.
type Config struct {
	BrokerID    int32             `yaml:"broker_id" doc:"the agent's Kafka broker id, 1 or more, unique in the cluster"`
	Rack        string            `yaml:"rack" doc:"rack or availability zone of this agent"`
	DataDir     string            `yaml:"data_dir" doc:"directory of the journals"`
	Listeners   []Listener        `yaml:"listeners" doc:"addresses at which Kafka's protocol is served"`
	Security    SecurityConfig    `yaml:"security" doc:"who may do what"`
	Peer        PeerConfig        `yaml:"peer" doc:"the address for other agents"`
	Replication ReplicationConfig `yaml:"replication" doc:"how journals are kept by several agents"`
	// AdvertiseAsReached tells clients of a listener on all interfaces, without an advertised
	// address, the address at which they reached it. It suits an agent that is alone.
	AdvertiseAsReached bool `yaml:"-"`
	// AcceptOlderEtcd lets an agent start whose etcd was restored from an older state.
	AcceptOlderEtcd bool `yaml:"-"`

	Memory          string `yaml:"memory" type:"size or percentage" doc:"memory that the process may use: a size, or a percentage of the memory of the host or its cgroup, such as 25%, or 25% up to 2GiB. A percentage comes to at least 256MiB if the host has that. Settings whose default is a share of memory follow from it (docs/operations.md)"`
	HTTPConfig      `yaml:",inline"`
	SessionTTL      time.Duration   `yaml:"session_ttl" doc:"lifetime of an agent's etcd lease; an agent that is silent for longer is considered dead"`
	ShutdownTimeout time.Duration   `yaml:"shutdown_timeout" doc:"maximum duration of a graceful stop, 5s or more; three quarters of it are for uploading waiting records. Give the service manager more, such as TimeoutStopSec=45 or terminationGracePeriodSeconds: 45"`
	Log             LogConfig       `yaml:"log" doc:"what is logged"`
	Kafka           broker.Config   `yaml:"kafka" doc:"limits of Kafka's protocol"`
	Produce         ProduceConfig   `yaml:"produce" doc:"what producers have to fulfil"`
	Journal         wal.Config      `yaml:"journal" doc:"the write-ahead log"`
	Metadata        metadata.Config `yaml:"etcd" doc:"the metadata store"`
	Groups          group.Config    `yaml:"groups" doc:"consumer groups"`
	Store           s3store.Config  `yaml:"store" doc:"the object store"`
	Upload          upload.Config   `yaml:"upload" doc:"how records move to the bucket"`
	Read            read.Config     `yaml:"read" doc:"how records are read back from the bucket"`
	Retention       retain.Config   `yaml:"retention" doc:"when old records are deleted"`
	Metrics         MetricsConfig   `yaml:"metrics" doc:"how many series the metrics have"`
	Garbage         garbage.Config  `yaml:"garbage" doc:"how objects that nobody needs are deleted"`
}

// ProduceConfig reports what is asked of producers.
type ProduceConfig struct {
	DecompressBytes int64 `yaml:"decompress_bytes" share:"memory" doc:"memory for decompressing batches, in bytes; a batch whose records take more than half of it is refused"`

	Validation string `yaml:"validation" doc:"how produced batches are validated. strict reads every record, as Kafka does, so that no producer can store what consumers can't read. headers reads records only if the topic's settings need it, for trusted producers"`
}

// What produce.validation may be.
const (
	ValidateStrict  = "strict"
	ValidateHeaders = "headers"
)

// DefaultConfig has everything that has a sensible default.
func DefaultConfig() Config {
	c := Config{
		BrokerID: 1, DataDir: "data", HTTPConfig: HTTPConfig{HTTP: "127.0.0.1:9644"},
		Listeners:   []Listener{{Name: "PLAINTEXT", Bind: "127.0.0.1:9092"}},
		Peer:        PeerConfig{Bind: "127.0.0.1:9645"},
		Replication: ReplicationConfig{Factor: 3, Quorum: 2, GatherFor: 3 * time.Second, ReplaceAfter: 10 * time.Second, Config: replica.DefaultConfig()},
		SessionTTL:  3 * time.Second, ShutdownTimeout: 30 * time.Second,
		Log:      LogConfig{Level: "info", Format: "text", MaxPerMinute: 100},
		Security: SecurityConfig{AuthorizerConfig: AuthorizerConfig{Authorizer: AuthorizerNone}, OAuth: oauth.DefaultConfig(), Kerberos: kerberos.DefaultConfig(), Tokens: token.DefaultConfig()},
		Kafka:    broker.DefaultConfig(), Produce: ProduceConfig{Validation: ValidateStrict, DecompressBytes: 256 << 20}, Journal: wal.DefaultConfig(), Metadata: metadata.DefaultConfig(), Store: s3store.DefaultConfig(),
		Upload: upload.DefaultConfig(), Read: read.DefaultConfig(), Retention: retain.DefaultConfig(), Garbage: garbage.DefaultConfig(),
		Groups: group.DefaultConfig(), Metrics: MetricsConfig{MaxTopics: 1000, MaxGroupTopics: 1000, MaxGroupPartitions: 5000, MaxClientSeries: 10000, MaxClients: 500, MaxPartitions: 5000},
	}
	return c
}

// Validate returns all that doesn't fit, each with the field, its value and what is allowed.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is %v: must be %s", field, value, allowed))
		}
	}
	check(c.BrokerID >= 1, "broker_id", c.BrokerID, "1 or more")
	check(c.DataDir != "", "data_dir", `""`, "a directory")
	check(len(c.Listeners) > 0, "listeners", "empty", "at least one listener")
	check(c.SessionTTL >= time.Second, "session_ttl", c.SessionTTL, "at least 1s")
	check(c.ShutdownTimeout >= 0, "shutdown_timeout", c.ShutdownTimeout, "0 or more")
	check(new(slog.Level).UnmarshalText([]byte(c.Log.Level)) == nil, "log.level", strconv.Quote(c.Log.Level), "debug, info, warn or error")
	check(c.Log.Format == "text" || c.Log.Format == "json", "log.format", strconv.Quote(c.Log.Format), "text or json")
	check(c.Log.MaxPerMinute >= 0, "log.max_per_minute", c.Log.MaxPerMinute, "0 or more")
	v := c.Produce.Validation
	check(v == ValidateStrict || v == ValidateHeaders, "produce.validation", strconv.Quote(v), ValidateStrict+" or "+ValidateHeaders)
	check(c.Produce.DecompressBytes >= 16<<20, "produce.decompress_bytes", c.Produce.DecompressBytes, "at least 16777216")
	check(c.Metrics.MaxTopics >= 0, "metrics.max_topics", c.Metrics.MaxTopics, "0 or more")
	check(c.Metrics.MaxGroupTopics >= 0, "metrics.max_group_topics", c.Metrics.MaxGroupTopics, "0 or more")
	check(c.Metrics.MaxGroupPartitions >= 0, "metrics.max_group_partitions", c.Metrics.MaxGroupPartitions, "0 or more")
	check(c.Metrics.MaxClientSeries >= 0, "metrics.max_client_series", c.Metrics.MaxClientSeries, "0 or more")
	check(c.Metrics.MaxClients >= 0, "metrics.max_clients", c.Metrics.MaxClients, "0 or more")
	check(c.Metrics.MaxPartitions >= 0, "metrics.max_partitions", c.Metrics.MaxPartitions, "0 or more")
	errs = append(errs, c.HTTPConfig.validate(), c.validateReplication(), c.validateListeners(), c.Security.validate())
	j := c.Journal
	j.Dir = c.JournalDir()
	for _, part := range []struct {
		name string
		err  error
	}{{"", c.Kafka.Validate()}, {"security.", c.Security.AuthorizerConfig.Validate()}, {"security.oauth.", c.Security.OAuth.Validate()}, {"security.kerberos.", c.Security.Kerberos.Validate()}, {"security.delegation_tokens.", c.Security.Tokens.Validate()}, {"", j.Validate()}, {"upload.", c.Upload.Validate()}, {"read.", c.Read.Validate()},
		{"groups.", c.Groups.Validate()}, {"retention.", c.Retention.Validate()}, {"garbage.", c.Garbage.Validate()}} {
		errs = append(errs, under(part.name, part.err))
	}
	return errors.Join(errs...)
}

func (c *Config) validateReplication() error {
	r := c.Replication
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Factor < 1 || r.Factor > 7 {
		bad("replication.factor is %d: must be 1 to 7", r.Factor)
	} else if r.Quorum <= r.Factor/2 || r.Quorum > r.Factor {
		bad("replication.quorum is %d: must be more than half of replication.factor (%d), and at most that", r.Quorum, r.Factor)
	}
	if r.GatherFor < 0 {
		bad("replication.gather_for is %v: must be 0 or more", r.GatherFor)
	}
	if r.Factor > 1 && c.Peer.Bind == "" {
		bad("peer.bind is empty: with replication.factor %d it must be host:port", r.Factor)
	}
	if _, _, err := splitAddress(c.Peer.Bind); c.Peer.Bind != "" && err != nil {
		bad("peer.bind is %q: must be host:port or empty", c.Peer.Bind)
	}
	if host, port, err := splitAddress(c.Peer.Advertised); c.Peer.Advertised != "" && (err != nil || host == "" || port == 0) {
		bad("peer.advertised is %q: must be host:port", c.Peer.Advertised)
	}
	return errors.Join(append(errs, c.Peer.TLS.Validate(), r.Config.Validate())...)
}

// ValidateStores checks the settings of etcd and the object store, which an
// embedded agent does not have.
func (c *Config) ValidateStores() error {
	return errors.Join(under("etcd.", c.Metadata.Validate()), under("store.", c.Store.Validate()))
}

// ValidateShared refuses a store that agents of a cluster can't share, unless the settings
// confirm that it is meant: 'varve agent' is one of several.
func (c *Config) ValidateShared() error {
	if c.Store.AllowLocal {
		return nil
	}
	switch {
	case c.Store.Driver == s3store.DriverMemory:
		return errors.New("store.driver is memory: all records are gone when the agent ends, and other agents don't see them. For tests, say so with store.allow_local: true")
	case c.Store.Driver == s3store.DriverDir && c.Replication.Factor > 1:
		return fmt.Errorf("store.driver is dir with replication.factor %d: all agents need one bucket. If store.directory is shared by all of them, such as over NFS, say so with store.allow_local: true", c.Replication.Factor)
	}
	return nil
}

// CheckFiles reads the files that the settings name.
func (c *Config) CheckFiles(fs vfs.FS) error {
	var errs []error
	if c.Peer.TLS.On() && c.Peer.TLS.Validate() == nil {
		_, err := c.Peer.TLS.Load(fs)
		errs = append(errs, err)
	}
	for i, l := range c.Listeners {
		if l.speaksTLS() && c.validateListeners() == nil {
			if _, err := tlsfile.OpenServer(fs, l.files()); err != nil {
				errs = append(errs, fmt.Errorf("listeners[%d].tls: %w", i, err))
			}
		}
	}
	errs = append(errs, c.HTTPConfig.checkFiles(fs), c.Security.checkFiles(fs))
	if len(c.Metadata.Endpoints) > 0 {
		errs = append(errs, under("etcd.", c.Metadata.CheckFiles()))
	}
	return errors.Join(errs...)
}

// under puts the name of a part before the settings that one or more errors begin with.
func under(part string, err error) error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s%w", part, err)
	}
	var out []error
	for _, e := range several.Unwrap() {
		out = append(out, fmt.Errorf("%s%w", part, e))
	}
	return errors.Join(out...)
}

// JournalDir is where the journals are.
func (c *Config) JournalDir() string { return strings.TrimSuffix(c.DataDir, "/") + "/journal" }

func splitAddress(addr string) (host string, port int32, err error) {
	h, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return h, int32(n), err
}
