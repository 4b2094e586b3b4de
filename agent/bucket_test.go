package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/marker"
	"varve/tiering/object"
)

// TestWhoseBucket goes through what may be known of a bucket, and what is decided.
func TestWhoseBucket(t *testing.T) {
	mark := func(cluster, place string) *marker.Marker {
		return &marker.Marker{Cluster: cluster, Place: place, By: "agent 7, v1"}
	}
	known := func(place string) *schema.Bucket {
		return &schema.Bucket{Place: place, Name: "minio http://h/there"}
	}
	for name, c := range map[string]struct {
		facts bucketFacts
		adopt string
		want  claim
		says  []string // the refusal
	}{
		"new":                      {bucketFacts{}, "", claimMark, nil},
		"new, of a cluster":        {bucketFacts{cluster: "one"}, "", claimMark, nil},
		"its own":                  {bucketFacts{cluster: "one", known: known("p"), marker: mark("one", "p")}, "", claimNothing, nil},
		"etcd doesn't know":        {bucketFacts{cluster: "one", marker: mark("one", "p")}, "", claimNote, nil},
		"another cluster's":        {bucketFacts{cluster: "one", known: known("q"), marker: mark("two", "p")}, "", 0, []string{"cluster two", "cluster one", "agent 7", "here/x", "store.prefix", "etcd.prefix", "varve restore", "--store-adopt-bucket two"}},
		"etcd is empty":            {bucketFacts{marker: mark("two", "p")}, "", 0, []string{"cluster two", "no cluster yet", "varve restore"}},
		"etcd is empty, adopted":   {bucketFacts{marker: mark("two", "p")}, "two", 0, []string{"no cluster yet"}},
		"adopted":                  {bucketFacts{cluster: "one", marker: mark("two", "p")}, "two", claimAdopt, nil},
		"another one was meant":    {bucketFacts{cluster: "one", marker: mark("two", "p")}, "three", 0, []string{"cluster two"}},
		"another prefix":           {bucketFacts{cluster: "one", known: known("p")}, "", 0, []string{"cluster one", "minio http://h/there", "here/x", "--store-adopt-bucket unmarked"}},
		"moved without its marker": {bucketFacts{cluster: "one", known: known("p")}, unmarked, claimMark, nil},
		"marked twice":             {bucketFacts{cluster: "one", known: known("p"), marker: mark("one", "q")}, "", 0, []string{"minio http://h/there", "here/x"}},
		"marked twice, decided":    {bucketFacts{cluster: "one", known: known("p"), marker: mark("one", "q")}, "one", claimNote, nil},
		"old, etcd is empty":       {bucketFacts{objects: "data/00/1-1"}, "", 0, []string{"data/00/1-1", "no topic"}},
		"old, etcd without topics": {bucketFacts{cluster: "one", objects: "data/00/1-1"}, "", 0, []string{"no topic"}},
		"old, and its own":         {bucketFacts{cluster: "one", objects: "data/00/1-1", topics: true, named: 4, found: 3}, "", claimMark, nil},
		"old, and not its own":     {bucketFacts{cluster: "one", objects: "data/00/1-1", topics: true, named: 4}, "", 0, []string{"none of 4 objects", "cluster one"}},
		"old, nothing uploaded":    {bucketFacts{cluster: "one", topics: true}, "", claimMark, nil},
		"old and empty by mistake": {bucketFacts{cluster: "one", topics: true, named: 1}, "", 0, []string{"none of 1"}},
		"damaged":                  {bucketFacts{cluster: "one", damaged: errors.New("torn")}, "", 0, []string{"torn", "varve-cluster"}},
		"damaged, decided":         {bucketFacts{cluster: "one", damaged: errors.New("torn")}, unmarked, claimAdopt, nil},
	} {
		got, err := c.facts.judge(place{bucket: "minio http://h/here/x", prefix: "/varve/", adopt: c.adopt})
		if (err != nil) != (c.says != nil) || err == nil && got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		for _, part := range c.says {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %q", name, part, err)
			}
		}
	}
}

// refused starts an agent on another disk, which must end by itself, and gives its error.
func (w *world) refused(meta *metadata.Memory, change func(*Config)) error {
	w.t.Helper()
	return w.refusedOn(vfs.NewMemory(), meta, change)
}

// refusedOn does so on a given disk.
func (w *world) refusedOn(fs vfs.FS, meta *metadata.Memory, change func(*Config)) error {
	w.t.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	store := meta.Open()
	defer store.Close()
	a, err := New(cfg, Deps{FS: fs, Meta: store, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Listen: net.Listen, Dial: dial, Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	err = a.Run(ctx)
	if err == nil {
		w.t.Fatal("it was not refused")
	}
	return err
}

// TestAnotherClustersBucket: an agent with an empty etcd, or another cluster's, is refused,
// and leaves both as they were; with the decision to adopt the bucket it starts.
func TestAnotherClustersBucket(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	cluster := one.id
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	other := metadata.NewMemory()
	err := w.refused(other, nil)
	if !strings.Contains(err.Error(), cluster) || !strings.Contains(err.Error(), "no cluster yet") {
		t.Errorf("%v", err)
	}
	store := other.Open()
	defer store.Close()
	if kvs, _, err := store.List(t.Context(), ""); err != nil || len(kvs) != 0 {
		t.Errorf("etcd got %v, %v", kvs, err)
	}
	w.start() // as ever

	two := newWorld(t) // gets a cluster of its own, then this bucket
	second := two.start()
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	two.bucket = w.bucket
	err = two.refused(two.meta, func(c *Config) { c.BrokerID = 2 })
	if !strings.Contains(err.Error(), cluster) || !strings.Contains(err.Error(), second.id) {
		t.Errorf("%v", err)
	}
	two.change = func(c *Config) { c.Store.AdoptBucket = cluster }
	two.start()
	if m, err := marker.Read(t.Context(), w.bucket); err != nil || m.Cluster != second.id {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestBucketIsMarkedMeanwhile: an agent of a new cluster that looks at the bucket while
// another one makes the cluster and marks the bucket is not refused.
func TestBucketIsMarkedMeanwhile(t *testing.T) {
	meta := metadata.NewMemory().Open()
	defer meta.Close()
	bucket := s3store.NewMemory()
	put := func(key string, value []byte) {
		if _, err := meta.Txn(t.Context(), nil, metadata.Put(key, value)); err != nil {
			t.Error(err)
		}
	}
	var once sync.Once
	other := func(c s3store.Call) (f s3store.Fault) {
		once.Do(func() { // another agent, once etcd was asked
			put(schema.KeyCluster, schema.Cluster{ID: "one", Level: schema.NewestLevel}.Encode())
			if err := marker.Write(t.Context(), bucket, &marker.Marker{Cluster: "one", Place: "p"}); err != nil {
				t.Error(err)
			}
			put(schema.KeyBucket, schema.Bucket{Place: "p"}.Encode())
		})
		return f
	}
	cfg := DefaultConfig()
	deps := Deps{Meta: meta, Objects: s3store.WithFaults(bucket, other)}
	claims := &bucketClaim{cfg: &cfg, deps: &deps}
	f, err := claims.facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if todo, err := f.judge(place{}); err != nil || todo != claimNothing {
		t.Errorf("%v, %v", todo, err)
	}
}

// TestAnotherPrefix: an agent whose settings name another place than its cluster's is
// refused before it joins.
func TestAnotherPrefix(t *testing.T) {
	w := newWorld(t)
	w.start()
	apart, err := s3store.WithPrefix(w.bucket, "oops/")
	if err != nil {
		t.Fatal(err)
	}
	all := w.bucket
	w.bucket = apart
	err = w.refused(w.meta, func(c *Config) { c.BrokerID, c.Store.Prefix = 2, "oops/" })
	if !strings.Contains(err.Error(), "no marker") && !strings.Contains(err.Error(), "where no marker is") {
		t.Errorf("%v", err)
	}
	if err := all.List(t.Context(), "oops/", "", func(o s3store.Object) bool { t.Errorf("%s was written", o.Key); return true }); err != nil {
		t.Error(err)
	}
}

// TestBucketFromBeforeMarkers: a cluster's bucket without a marker gets one; without the
// cluster's etcd it is refused.
func TestBucketFromBeforeMarkers(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	a.produce("t", 0, 10)
	if err := a.stop(); err != nil { // uploads
		t.Fatal(err)
	}
	store := w.meta.Open()
	defer store.Close()
	if _, err := store.Txn(t.Context(), nil, metadata.Delete(schema.KeyBucket)); err != nil {
		t.Fatal(err)
	}
	if err := w.bucket.Delete(t.Context(), []string{marker.Key}); err != nil {
		t.Fatal(err)
	}
	if err := w.refused(metadata.NewMemory(), nil); !strings.Contains(err.Error(), "no topic") {
		t.Errorf("%v", err)
	}
	a = w.start()
	m, err := marker.Read(t.Context(), w.bucket)
	if err != nil || m == nil || m.Cluster != a.id {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := store.Get(t.Context(), schema.KeyBucket); err != nil {
		t.Error(err)
	}
}

// TestBucketLookedAtLater: with a bucket that is away an agent starts, and uploads nothing
// before it has seen the marker; another cluster's ends it.
func TestBucketLookedAtLater(t *testing.T) {
	w := newWorld(t)
	owner := w.start()
	if err := owner.stop(); err != nil {
		t.Fatal(err)
	}
	var away, wrote atomic.Bool
	away.Store(true)
	two := newWorld(t)
	two.change = func(c *Config) { c.ShutdownTimeout, c.Upload.MaxAge = 0, 10*time.Millisecond }
	two.bucket = s3store.WithFaults(w.bucket, func(c s3store.Call) (f s3store.Fault) {
		if away.Load() {
			f.Before = io.ErrUnexpectedEOF
		} else if c.Op == s3store.OpPutIfAbsent && strings.HasPrefix(c.Key, object.PrefixData) {
			wrote.Store(true)
		}
		return f
	})
	a := two.start()
	a.produce("t", 0, 10)
	away.Store(false)
	err := <-a.ended
	close(a.ended)
	if err == nil || !strings.Contains(err.Error(), owner.id) {
		t.Errorf("it ended with %v", err)
	}
	if wrote.Load() {
		t.Error("it wrote into another cluster's bucket")
	}
}

// TestLocalBucket: memory, and a directory for several agents, are for those who say so.
func TestLocalBucket(t *testing.T) {
	for name, c := range map[string]struct {
		driver  string
		factor  int
		allow   bool
		refused bool
	}{
		"memory": {s3store.DriverMemory, 1, false, true}, "memory, allowed": {s3store.DriverMemory, 1, true, false},
		"dir, alone": {s3store.DriverDir, 1, false, false}, "dir": {s3store.DriverDir, 3, false, true}, "shared": {s3store.DriverDir, 3, true, false},
		"minio": {s3store.DriverMinIO, 3, false, false},
	} {
		cfg := DefaultConfig()
		cfg.Store.Driver, cfg.Replication.Factor, cfg.Store.AllowLocal = c.driver, c.factor, c.allow
		if err := cfg.ValidateShared(); (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "store.allow_local") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t)
	w.start()
	err := w.refused(w.meta, func(c *Config) { c.BrokerID, c.Store.Driver, c.Store.Directory = 2, s3store.DriverDir, "/bucket" })
	if !strings.Contains(err.Error(), "store.allow_local") {
		t.Errorf("%v", err)
	}
}
