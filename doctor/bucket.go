package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/say"
	"varve/s3store"
	"varve/tiering/marker"
	"varve/tiering/object"
)

const (
	partBytes     = 5 << 20 // the least that S3 takes
	multipartSize = partBytes + 1
	bucketSlow    = time.Second // for a small object
)

// bucketFacts is what was learned of the bucket. The errors say what didn't work.
type bucketFacts struct {
	place      string
	probe      s3store.Report
	probeErr   error
	small      time.Duration // to write a small object
	parts      time.Duration // to write multipartSize in parts
	partsErr   error
	rules      s3store.Rules
	rulesErr   error
	marker     *marker.Marker // nil: there is none
	markerErr  error
	clockKnown bool
	skew       time.Duration // how far the bucket's clock is ahead of this host's
	driver     string
}

// askBucket examines the bucket: it writes, reads, lists and deletes a small object and one in
// parts, and finds out whether conditional writes work.
func (x *examination) askBucket(ctx context.Context) (*bucketFacts, error) {
	cfg := x.Store
	cfg.PartSizeBytes = partBytes
	s, err := s3store.Open(ctx, cfg, x.Log, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	f := &bucketFacts{place: cfg.Place(), driver: cfg.Driver}
	f.probe, f.probeErr = s3store.Probe(ctx, s, x.Random)
	f.skew, f.clockKnown = s3store.Skew(s)
	if f.probeErr != nil {
		return f, nil
	}
	if !f.probe.NoDelete { // else megabytes would stay with each run
		f.small, f.parts, f.partsErr = x.writeObjects(ctx, s)
	}
	f.rules, f.rulesErr = s3store.ReadRules(ctx, s)
	f.marker, f.markerErr = marker.Read(ctx, s)
	return f, nil
}

// writeObjects writes a small object and one in parts, conditionally as uploads do, and removes
// them.
func (x *examination) writeObjects(ctx context.Context, s s3store.Store) (small, parts time.Duration, err error) {
	keys := []string{s3store.ProbeFolder + x.temporary(), s3store.ProbeFolder + x.temporary()}
	defer func() {
		ctx, cancel := cleaning(ctx)
		defer cancel()
		gone := s.Delete(ctx, keys)
		if errors.Is(gone, s3store.ErrDenied) || errors.Is(gone, s3store.ErrUnsupported) {
			gone = nil // the probe's notes tell
		}
		err = errors.Join(err, gone)
	}()
	body := make([]byte, multipartSize)
	_, _ = x.Random.Read(body)
	at := time.Now()
	if err := s.PutIfAbsent(ctx, keys[0], bytes.NewReader(body[:1<<10])); err != nil {
		return 0, 0, err
	}
	small, at = time.Since(at), time.Now()
	if err := s.PutIfAbsent(ctx, keys[1], bytes.NewReader(body)); err != nil {
		return small, 0, err
	}
	parts = time.Since(at)
	o, err := s.Head(ctx, keys[1])
	if err == nil && o.Size != multipartSize {
		err = fmt.Errorf("an object that was written in parts has %d bytes instead of %d", o.Size, multipartSize)
	}
	return small, parts, err
}

// bucket judges whether the bucket can be used, and whose it is.
func bucket(ctx context.Context, x *examination) []Finding {
	const name = "bucket"
	f, err := x.bucket.get(ctx)
	if err != nil {
		return []Finding{failure(name, cmp.Or(s3store.Advice(err), "check the settings of store"), "%s: %s", x.Store.Place(), word(err))}
	}
	found := f.judge(name)
	if f.probeErr != nil {
		return found
	}
	if c, err := x.cluster.get(ctx); err == nil {
		found = append(found, f.belongs(name, c.id, x.Store.AdoptBucket))
	}
	return found
}

func (f *bucketFacts) judge(name string) (found []Finding) {
	if f.probeErr != nil {
		do := cmp.Or(s3store.Advice(f.probeErr), "check the settings of store, and that the bucket may be read, written, listed and deleted from")
		return []Finding{failure(name, do, "%s: %s", f.place, word(f.probeErr))}
	}
	found = append(found, ok(name, "%s: objects can be written, read, and found out about", f.place))
	for _, n := range f.probe.Notes {
		found = append(found, warning(name, "give the keys these permissions, or use a store that can do it", "%s", n))
	}
	if len(f.probe.Notes) == 0 {
		found = append(found, ok(name, "listing, deletes and conditional writes (If-None-Match) work"))
	}
	if !f.probe.NoDelete {
		found = append(found, f.speed(name))
	}
	switch danger, cost := f.rules.Danger(), f.rules.Cost(); {
	case f.rulesErr != nil:
		found = append(found, warning(name, s3store.Advice(f.rulesErr), "%s", word(f.rulesErr)))
	case danger != "":
		found = append(found, failure(name, "change the bucket's lifecycle rules", "%s", danger))
	case cost != "":
		found = append(found, warning(name, "add that rule", "%s", cost))
	}
	if f.driver == s3store.DriverMemory {
		found = append(found, warning(name, "use it for tests only", "the store is this process's memory"))
	}
	return found
}

func (f *bucketFacts) speed(name string) Finding {
	if f.partsErr != nil {
		return failure(name, cmp.Or(s3store.Advice(f.partsErr), "the store must take conditional writes, and multipart uploads of 5 MiB and more"), "write objects: %s", word(f.partsErr))
	}
	text := fmt.Sprintf("a small object takes %v, one of %s in two parts %v", short(f.small), say.Bytes(multipartSize), short(f.parts))
	if f.small > bucketSlow {
		return warning(name, "use a bucket in the same region, or look at the network to it", "%s", text)
	}
	return ok(name, "%s", text)
}

// belongs judges whose the bucket is.
func (f *bucketFacts) belongs(name, cluster, adopt string) Finding {
	const do = "set store.bucket, store.prefix or etcd.prefix right; each cluster needs a bucket or prefix of its own. store.adopt_bucket takes one over (docs/operations.md)"
	switch {
	case f.markerErr != nil && errors.As(f.markerErr, new(*object.CorruptError)):
		return failure(name, do, "%v", f.markerErr)
	case f.markerErr != nil:
		return warning(name, s3store.Advice(f.markerErr), "read whose the bucket is: %s", word(f.markerErr))
	case f.marker == nil:
		return ok(name, "it belongs to no cluster yet")
	case f.marker.Cluster == cluster:
		return ok(name, "it belongs to this cluster, %s", cluster)
	case f.marker.Cluster == adopt:
		return warning(name, "take store.adopt_bucket out of the settings once the cluster runs", "it belongs to cluster %s, and store.adopt_bucket takes it over", adopt)
	case cluster == "":
		return failure(name, do, "it belongs to cluster %s, and etcd has none below etcd.prefix", f.marker.Cluster)
	}
	return failure(name, do, "it belongs to cluster %s, and this is %s", f.marker.Cluster, cluster)
}
