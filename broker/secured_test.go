package broker

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/cluster"
	"varve/coordinator"
	"varve/group"
	"varve/internal/id"
	"varve/internal/notify"
	"varve/internal/vfs"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/partition"
	"varve/wal"
)

// secured is a broker with ACLs, alone in its cluster, that serves real partitions and
// groups to connections of whoever the test says.
type secured struct {
	level slog.LevelVar
	*testing.T
	broker *Broker
	view   *cluster.View
	editor *cluster.Editor
	parts  *servedParts
	audit  *auditLines
	ctx    context.Context
}

// servedParts makes the partitions of topics as they appear, with this agent as owner.
type servedParts struct {
	deps    *partition.Deps
	mu      sync.Mutex
	served  map[id.Partition]*partition.Partition
	changed notify.Broadcast
}

func (s *servedParts) Get(p id.Partition) *partition.Partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[p]
}

func (s *servedParts) Changed() <-chan struct{} { return s.changed.Next() }

// own takes the partitions of topics over, until ctx ends.
func (s *servedParts) own(ctx context.Context, view *cluster.View, store metadata.Store) {
	settings := &partition.Settings{MaxMessageBytes: 1 << 20, KeepCompression: true, TimestampBefore: 1<<63 - 1, TimestampAfter: 1 << 62}
	for {
		changed := view.Changed()
		for _, t := range view.Topics() {
			for i := range t.Partitions {
				at := id.Partition{Topic: t.ID, Index: i}
				if s.Get(at) != nil {
					continue
				}
				p := partition.New(s.deps, schema.StoredHead{Partition: at, Head: new(schema.Head)}, settings)
				p.Serve()
				s.mu.Lock()
				s.served[at] = p
				s.mu.Unlock()
				_, _ = store.Txn(ctx, nil, metadata.Put(schema.OwnerKey(at), schema.Ownership{Owner: 9, Broker: 1, Epoch: 0}.Encode()))
				s.changed.Send()
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// auditLines are the audit log.
type auditLines struct {
	mu  sync.Mutex
	all []string
}

func (l *auditLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

func (l *auditLines) taken() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// withSecured runs f with a broker whose super user is User:admin, in fake time.
func withSecured(t *testing.T, f func(s *secured)) {
	withSecurity(t, Security{ACLs: true, SuperUsers: []string{"User:admin"}}, f)
}

func withSecurity(t *testing.T, security Security, f func(s *secured)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &secured{T: t, audit: &auditLines{}, ctx: ctx}
		log := slog.New(slog.DiscardHandler)
		store := metadata.NewMemory().Open()
		s.put(store, schema.AgentKey(1), schema.Agent{Incarnation: 9, Store: id.Store{1}, Version: "v", Endpoints: []schema.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 9092}}}.Encode())
		s.put(store, schema.LevelsKey(1), schema.Known().Encode())
		s.put(store, schema.KeyCluster, schema.Cluster{ID: "c", Level: schema.OldestLevel}.Encode())
		s.put(store, schema.KeyController, schema.Role{Incarnation: 9, Broker: 1}.Encode())
		for n := range coordinator.Slots {
			s.put(store, schema.SlotKey(n), schema.Role{Incarnation: 9, Broker: 1}.Encode())
		}
		s.view = cluster.NewView(store, log)
		s.editor = cluster.NewEditor(s.view, store, nil)
		var running sync.WaitGroup
		running.Go(func() { s.view.Run(ctx) })
		<-s.view.Ready()

		cfg := wal.DefaultConfig()
		cfg.Dir, cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes, cfg.ReserveBytes = "j", 4<<20, 1<<20, 64<<20, 0
		disk, err := wal.Open(cfg, wal.Options{FS: vfs.NewMemory(), Log: log, Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		j := id.Journal{Writer: 1, Seq: 1}
		if err := disk.Join(j, wal.Membership{FileBytes: disk.FileBytes()}); err != nil {
			t.Fatal(err)
		}
		w, err := disk.Create(j, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.parts = &servedParts{deps: &partition.Deps{Journal: w, Local: disk, Clock: func() int64 { return time.Now().UnixMilli() }}, served: map[id.Partition]*partition.Partition{}}
		running.Go(func() { s.parts.own(ctx, s.view, store) })

		writer := metadata.NewWriter(store, metadata.DefaultWriterConfig(), log, nil)
		groups := group.Open(group.DefaultConfig(), store, writer, s.view, nil, log, nil)
		for n := range coordinator.Slots {
			groups.OwnSlots(map[int]metadata.Guard{n: {}})
		}
		synctest.Wait()
		s.broker, err = New(DefaultConfig(), Deps{View: s.view, Editor: s.editor, Store: store, Partitions: s.parts, TierShare: func() int { return 1 << 20 }, Journal: disk, Groups: groups,
			Log: log, LogLevel: &s.level, ClusterID: "c", Self: 1, Replicas: 1, DataDir: "d", Security: security, Audit: slog.New(slog.NewTextHandler(s.audit, &slog.HandlerOptions{Level: &s.level})), Tokens: issuer})
		if err != nil {
			t.Fatal(err)
		}
		f(s)
		cancel()
		done, over := context.WithTimeout(context.Background(), time.Minute)
		defer over()
		groups.Close(done)
		writer.Close(done)
		running.Wait()
		store.Close()
		w.Close()
		disk.Close()
		synctest.Wait()
	})
}

func (s *secured) put(store metadata.Store, key string, value []byte) {
	s.Helper()
	if _, err := store.Txn(s.Context(), nil, metadata.Put(key, value)); err != nil {
		s.Fatal(err)
	}
}

// topic makes a topic with one partition.
func (s *secured) topic(name string) id.Topic {
	s.Helper()
	t, err := s.editor.CreateTopic(s.Context(), name, 1, nil)
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	return t.ID
}

// allow makes bindings for a principal: each is an operation on a literal or prefixed
// ("name*") resource.
func (s *secured) allow(principal string, op acl.Operation, on acl.ResourceType, names ...string) {
	s.Helper()
	for _, name := range names {
		b := acl.Binding{Type: on, Pattern: acl.Literal, Name: name, Principal: principal, Host: acl.Wildcard, Operation: op, Permission: acl.Allow}
		if err := s.editor.CreateACLs(s.Context(), "User:admin", []acl.Binding{b}); err != nil {
			s.Fatal(err)
		}
	}
}

// connected is a client of the broker.
type connected struct {
	s     *secured
	nc    net.Conn
	count int32
}

// connect opens a connection of a principal.
func (s *secured) connect(principal string) *connected {
	here, there := net.Pipe()
	c := newConn(s.broker, there, &caller{principal: principal, proven: true, host: "10.0.0.1", addr: "10.0.0.1:5", listener: "PLAINTEXT", reached: there.LocalAddr()}, &Listener{})
	go c.run(s.ctx)
	s.Cleanup(func() { here.Close() })
	return &connected{s: s, nc: here}
}

// ask sends a request as a client does, and returns the answer as a client reads it; nil if
// the connection was closed.
func (c *connected) ask(version int16, req kmsg.Request) kmsg.Response {
	c.s.Helper()
	req.SetVersion(version)
	return c.answer(req, kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, c.next()))
}

// raw is ask with the bytes of a request's body.
func (c *connected) raw(key, version int16, body []byte) kmsg.Response {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	// An empty request of this kind has the header that is wanted.
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, c.next())
	frame = append(frame[:len(frame)-len(req.AppendTo(nil))], body...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return c.answer(req, frame)
}

func (c *connected) next() int32 { c.count++; return c.count }

func (c *connected) answer(req kmsg.Request, frame []byte) kmsg.Response {
	c.s.Helper()
	if _, err := c.nc.Write(frame); err != nil {
		return nil
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(c.nc, size); err != nil {
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint32(size))
	if _, err := io.ReadFull(c.nc, b); err != nil {
		return nil
	}
	resp := req.ResponseKind()
	if b = b[4:]; resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		c.s.Fatalf("%T: %v", resp, err)
	}
	return resp
}

// batch is one record.
func (s *secured) batch() []byte {
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: []byte("x")}}, nil)
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// A changed rule holds at once, also for a connection that is open and for a fetch that
// waits; a denial and a change are in the audit log, and one that repeats is there once.
func TestRulesHoldForOpenConnections(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.topic("t")
		c := s.connect("User:a")
		fetch := kmsg.NewPtrFetchRequest()
		fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes, fetch.SessionEpoch = 60_000, 1, 1<<20, -1
		fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1 << 20, CurrentLeaderEpoch: -1}}}}
		code := func() int16 {
			return c.ask(11, fetch).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
		}
		for range 3 {
			if got := code(); got != 29 {
				t.Fatalf("without rights: code %d", got)
			}
		}
		if got := s.audit.taken(); len(got) != 1 {
			t.Fatalf("the audit log is %q", got)
		}
		s.allow("User:a", acl.Read, acl.Topic, "t")
		began := time.Now()
		waiting := make(chan int16, 1)
		go func() { waiting <- code() }()
		synctest.Wait()
		everything := acl.Everything()
		if _, err := s.editor.DeleteACLs(s.Context(), everything); err != nil {
			t.Fatal(err)
		}
		p := s.parts.Get(id.Partition{Topic: s.view.Topics()[0].ID})
		if err := p.Append(s.Context(), s.batch(), p.Now(), id.NoEpoch, make(appended, 1)); err != nil {
			t.Fatal(err)
		}
		if got := <-waiting; got != 29 || time.Since(began) > time.Second {
			t.Errorf("the waiting fetch: code %d after %v", got, time.Since(began))
		}
	})
}

// What a connection remembers is of its principal: authenticating anew forgets it.
func TestRememberedRightsAreOfOnePrincipal(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.allow("User:a", acl.Read, acl.Topic, "t")
		c := &caller{principal: "User:a", host: "h", rights: s.broker.authorizer.rights()}
		for range 2 {
			if !c.may(acl.Read, acl.Topic, "t") {
				t.Error("a may not read")
			}
		}
		other := *c
		other.principal = "User:b"
		if other.may(acl.Read, acl.Topic, "t") {
			t.Error("b may read")
		}
		for i := range 3 * knownDecisions {
			c.may(acl.Read, acl.Topic, string(rune('a'+i)))
		}
		if n := len(c.rights.mu.known); n > knownDecisions {
			t.Errorf("%d decisions are remembered", n)
		}
		if c.may(acl.Read, acl.Topic, string(make([]byte, knownName+1))); slices.ContainsFunc(keysOf(c.rights.mu.known), func(q question) bool { return len(q.name) > knownName }) {
			t.Error("a long name is remembered")
		}
	})
}

func keysOf(m map[question]bool) (out []question) {
	for q := range m {
		out = append(out, q)
	}
	return out
}
