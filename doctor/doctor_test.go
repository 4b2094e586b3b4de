package doctor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"varve/internal/hostmem"
	"varve/internal/testserver"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

// healthy is an agent's host and dependencies without a fault: a real etcd and a real MinIO.
func healthy(t *testing.T) *Subject {
	t.Helper()
	etcd, minio := testserver.Etcd(t, testserver.EtcdOptions{}), testserver.MinIO(t)
	if err := minio.CreateBucket(t.Context(), "varve"); err != nil {
		t.Fatal(err)
	}
	s := &Subject{
		Broker: 1, Version: "v1", DataDir: t.TempDir(), Memory: 1 << 30, NeedBytes: 1 << 20, LeastBytes: 1 << 20, Files: 300,
		FS: vfs.OS{}, Host: hostmem.State{Total: 8 << 30}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
		Etcd: metadata.DefaultConfig(), Store: s3store.DefaultConfig(),
		Addresses: []Address{{"listener PLAINTEXT", "192.0.2.1:9092"}},
	}
	s.JournalDir = s.DataDir + "/journal"
	s.Etcd.Endpoints = etcd.Endpoints
	s.Store.Driver, s.Store.Endpoint, s.Store.Bucket, s.Store.PathStyle = s3store.DriverMinIO, minio.Endpoint, "varve", true
	s.Store.AccessKey, s.Store.SecretKey = minio.AccessKey, minio.SecretKey
	return s
}

// of returns the worst finding of a check that contains a text.
func of(t *testing.T, r *Report, check, text string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check && strings.Contains(f.Text, text) {
			return f
		}
	}
	t.Fatalf("no finding of %s has %q: %+v", check, text, r.Findings)
	return Finding{}
}

// The doctor harms nothing: what it writes is gone when it is done.
func TestExamineLeavesNothingBehind(t *testing.T) {
	s := healthy(t)
	r := Examine(t.Context(), s, 30*time.Second)
	if r.Level == Failure {
		t.Errorf("a healthy host fails: %+v", r.Findings)
	}
	for _, f := range r.Findings {
		if (f.Level != OK) != (f.Do != "") {
			t.Errorf("%+v", f)
		}
	}
	of(t, r, "bucket", "conditional writes (If-None-Match) work")
	of(t, r, "bucket", "in two parts")
	of(t, r, "etcd", "a write takes")
	of(t, r, "disk", "its sync take")
	of(t, r, "clock", "agrees with etcd's")
	of(t, r, "clock", "agrees with the bucket's")
	if left, err := os.ReadDir(s.DataDir); err != nil || len(left) > 0 {
		t.Errorf("left in the data directory: %v %v", left, err)
	}
	m, err := metadata.Open(t.Context(), s.Etcd, s.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if left, _, err := m.List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("left in etcd: %v %v", left, err)
	}
	b, err := s3store.Open(t.Context(), s.Store, s.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.List(t.Context(), "", "", func(o s3store.Object) bool {
		t.Errorf("left in the bucket: %s", o.Key)
		return true
	}); err != nil {
		t.Error(err)
	}
}

// A check that fails keeps no other from being done.
func TestFaultsAreFoundSideBySide(t *testing.T) {
	s := healthy(t)
	s.Store.SecretKey = "wrong-secret-key"
	s.Addresses = append(s.Addresses, Address{"listener PLAINTEXT", "no-such-host.invalid:9092"})
	s.Memory = 16 << 30
	m, err := metadata.Open(t.Context(), s.Etcd, s.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dead := schema.Agent{Incarnation: 7, Version: "v2", Peer: "127.0.0.1:1"}
	if _, err := m.Txn(t.Context(), nil, metadata.Put(schema.KeyCluster, schema.Cluster{ID: "c", Level: schema.NewestLevel}.Encode()), metadata.Put(schema.AgentKey(2), dead.Encode())); err != nil {
		t.Fatal(err)
	}
	r := Examine(t.Context(), s, 30*time.Second)
	if r.Level != Failure {
		t.Errorf("level %v", r.Level)
	}
	for _, want := range []struct {
		check, text string
		level       Level
		do          string
	}{
		{"bucket", "varve", Failure, "store.secret_key"},
		{"addresses", "no-such-host.invalid", Failure, "DNS"},
		{"memory", "the agent may take", Failure, "set memory lower"},
		{"network", "agent 2 at 127.0.0.1:1", Failure, "firewalls"},
		{"versions", "v2: agent 2", Warning, "upgrade"},
		{"etcd", "a write takes", OK, ""},
		{"disk", "its sync take", OK, ""},
	} {
		f := of(t, r, want.check, want.text)
		if want.level != OK && f.Level != want.level || want.level != OK && !strings.Contains(f.Do, want.do) || f.Level == Failure && want.level == OK {
			t.Errorf("%+v, want level %v and advice %q", f, want.level, want.do)
		}
	}
}

// An etcd and a bucket that are away are named with the reason, in time.
func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	l.Close()
	s := &Subject{DataDir: filepath.Join(t.TempDir(), "absent"), FS: vfs.OS{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Etcd: metadata.DefaultConfig(), Store: s3store.DefaultConfig()}
	s.Etcd.Endpoints = []string{at}
	s.Store.Driver, s.Store.Endpoint, s.Store.Bucket, s.Store.AccessKey, s.Store.SecretKey = s3store.DriverMinIO, at, "varve", "a", "bbbbbbbb"
	r := Examine(t.Context(), s, 4*time.Second)
	if f := of(t, r, "etcd", "connection refused"); f.Level != Failure {
		t.Errorf("%+v", f)
	}
	if f := of(t, r, "bucket", ""); f.Level != Failure {
		t.Errorf("%+v", f)
	}
	if f := of(t, r, "disk", "is not there"); f.Level != Warning {
		t.Errorf("%+v", f)
	}
}

// An etcd that lost its majority is told, and so are the servers that are away.
func TestEtcdWithoutMajority(t *testing.T) {
	c := testserver.Etcds(t, 3)
	s := &Subject{DataDir: filepath.Join(t.TempDir(), "absent"), FS: vfs.OS{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Etcd: metadata.DefaultConfig(), Store: s3store.DefaultConfig()}
	s.Etcd.Endpoints, s.Etcd.RequestTimeout = c.Endpoints, time.Second
	for _, m := range c.Members[1:] {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	s.Store.Driver = s3store.DriverMemory
	r := Examine(t.Context(), s, 8*time.Second)
	if f := of(t, r, "etcd", "doesn't tell its members"); f.Level != Failure || !strings.Contains(f.Do, "majority") {
		t.Errorf("%+v", f)
	}
	if f := of(t, r, "etcd", s.Etcd.Endpoints[1]+": "); f.Level != Warning {
		t.Errorf("%+v", f)
	}
	of(t, r, "etcd", s.Etcd.Endpoints[0]+" ") // what the one that is there says
}

// A bucket from which nothing can be deleted gets no large objects, which would stay with each run.
func TestBucketWithoutDeletes(t *testing.T) {
	s := healthy(t)
	minio, err := url.Parse(s.Store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	direct := s.Store
	proxy := httputil.NewSingleHostReverseProxy(minio)
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete || r.URL.Query().Has("delete") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer denies.Close()
	s.Store.Endpoint = denies.URL
	if f := of(t, Examine(t.Context(), s, 30*time.Second), "bucket", "let us delete objects"); f.Level != Warning {
		t.Errorf("%+v", f)
	}
	store, err := s3store.Open(t.Context(), direct, s.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var left int64
	if err := store.List(t.Context(), "", "", func(o s3store.Object) bool { left += o.Size; return true }); err != nil || left > 1<<10 {
		t.Errorf("%d bytes are left, %v", left, err)
	}
}

// scarceFS has little space left, and notes how much is written.
type scarceFS struct {
	vfs.FS
	free  int64
	wrote *int64
}

func (f scarceFS) Space(string) (free, total int64, err error) { return f.free, 1 << 40, nil }

func (f scarceFS) Open(path string, mode vfs.Mode) (vfs.File, error) {
	file, err := f.FS.Open(path, mode)
	return scarceFile{file, f.wrote}, err
}

type scarceFile struct {
	vfs.File
	end *int64
}

func (f scarceFile) WriteAt(b []byte, at int64) (int, error) {
	*f.end = max(*f.end, at+int64(len(b)))
	return f.File.WriteAt(b, at)
}

// The doctor leaves most of what is free on a disk to those who need it.
func TestAlmostFullDisk(t *testing.T) {
	for free, most := range map[int64]int64{1 << 30: 32 << 20, 40 << 20: 10 << 20, 12 << 20: 0, 0: 0} {
		var wrote int64
		x := &examination{Subject: &Subject{DataDir: t.TempDir(), FS: scarceFS{vfs.OS{}, free, &wrote}}}
		x.JournalDir = x.DataDir + "/journal"
		found := disk(t.Context(), x)
		if wrote > most || (most == 0) != slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Text, "too little is free") && f.Level == Failure }) {
			t.Errorf("%d are free: wrote %d, want at most %d: %+v", free, wrote, most, found)
		}
	}
}

// hungFS never lists a directory.
type hungFS struct {
	vfs.FS
	until chan struct{}
}

func (f hungFS) List(string) ([]string, error) {
	<-f.until
	return nil, vfs.ErrNotExist
}

// A disk that hangs is told, and the other checks are, too.
func TestCheckThatHangs(t *testing.T) {
	s := &Subject{DataDir: "d", FS: hungFS{vfs.OS{}, make(chan struct{})}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Etcd: metadata.DefaultConfig(), Store: s3store.DefaultConfig()}
	defer close(s.FS.(hungFS).until)
	s.Store.Driver = s3store.DriverMemory
	r := Examine(t.Context(), s, 100*time.Millisecond)
	if f := of(t, r, "disk", "did not end"); f.Level != Failure {
		t.Errorf("%+v", f)
	}
	of(t, r, "files", "")
	of(t, r, "versions", "")
}
