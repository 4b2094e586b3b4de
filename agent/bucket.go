package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/marker"
	"varve/tiering/object"
)

// How long a start waits for the bucket's answer: it can do without, as uploads wait until
// the bucket was found to be this cluster's. An agent that never worked with it has no
// other proof of its settings.
const (
	bucketPatience      = time.Second
	firstBucketPatience = 3 * time.Second
)

// bucketClaim finds out whose the bucket is, and marks it as this cluster's. Nothing is
// uploaded before that.
type bucketClaim struct {
	cfg    *Config
	deps   *Deps
	self   id.Broker
	log    *slog.Logger
	places *places
	done   chan struct{} // closed when the bucket was found to be this cluster's
	once   sync.Once
}

// join refuses a bucket that isn't this cluster's, before anything is written there
// or to etcd. A bucket that doesn't answer is looked at when it does (places.probe).
func (c *bucketClaim) join(ctx context.Context) (answers bool, err error) {
	if err := c.checkLocal(ctx); err != nil {
		return false, err
	}
	c.places.remembered()
	_, _, err = c.look(ctx)
	return c.unlessForeign(err)
}

// finish is join's second half, when etcd has a cluster: the bucket gets its
// marker. Uploads begin only after it.
func (c *bucketClaim) finish(ctx context.Context) error {
	_, err := c.unlessForeign(c.claim(ctx))
	return err
}

// unlessForeign tells a refusal, and the end of etcd's patience, from a bucket that is away.
func (c *bucketClaim) unlessForeign(err error) (answers bool, refused error) {
	var foreign *foreignBucket
	var meta *metadataFailure
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &foreign) || errors.As(err, &meta):
		return false, err
	}
	c.log.Warn("the bucket does not answer; it is looked at before anything is uploaded", "bucket", c.cfg.Store.Place(), "err", err)
	return false, nil
}

// metadataFailure is a failure of etcd, not of the bucket.
type metadataFailure struct{ error }

func (e *metadataFailure) Unwrap() error { return e.error }

// claim looks whose the bucket is until that is decided, and marks it if no one has.
func (c *bucketClaim) claim(ctx context.Context) error {
	for range claimTries {
		f, todo, err := c.look(ctx)
		if err != nil {
			return err
		}
		switch todo {
		case claimNothing:
			c.once.Do(func() { close(c.done) })
			return nil
		case claimNote:
			err = c.note(ctx, f)
		case claimMark:
			err = c.mark(ctx, f)
		case claimAdopt:
			err = c.adopt(ctx, f)
		}
		if err != nil && !errors.Is(err, s3store.ErrExists) && !errors.Is(err, metadata.ErrConflict) {
			return err
		}
	}
	return errors.New("the bucket's marker changes whenever it is looked at")
}

// claimTries is how often agents that mark a bucket at the same time may get in each
// other's way.
const claimTries = 10

// look gathers what is known of whose the bucket is, and decides.
func (c *bucketClaim) look(ctx context.Context) (*bucketFacts, claim, error) {
	patience := bucketPatience
	if c.places.never() != "" {
		patience = firstBucketPatience
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	f, err := c.facts(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return nil, 0, err
	}
	todo, err := f.judge(place{bucket: c.cfg.Store.Place(), prefix: c.cfg.Metadata.Prefix, adopt: c.cfg.Store.AdoptBucket})
	return f, todo, err
}

// facts gathers what is in etcd and in the bucket. It reads etcd before and after the bucket,
// and starts over if etcd has changed: another agent of a new cluster may be marking the
// bucket at the same time.
func (c *bucketClaim) facts(ctx context.Context) (*bucketFacts, error) {
	for {
		f, err := c.askEtcd(ctx)
		if err == nil {
			err = c.askBucket(ctx, f)
		}
		if err != nil {
			return nil, err
		}
		after, err := c.askEtcd(ctx)
		if err != nil {
			return nil, err
		}
		if after.cluster == f.cluster && reflect.DeepEqual(after.known, f.known) {
			return f, nil
		}
	}
}

// askEtcd gathers what is in etcd.
func (c *bucketClaim) askEtcd(ctx context.Context) (*bucketFacts, error) {
	f := new(bucketFacts)
	err := c.fromEtcd(ctx, schema.KeyCluster, func(b []byte) error {
		k, err := schema.DecodeCluster(b)
		f.cluster = k.ID
		return err
	})
	if err == nil {
		err = c.fromEtcd(ctx, schema.KeyBucket, func(b []byte) error {
			k, err := schema.DecodeBucket(b)
			f.known = &k
			return err
		})
	}
	return f, err
}

// askBucket adds what is in the bucket.
func (c *bucketClaim) askBucket(ctx context.Context, f *bucketFacts) (err error) {
	var corrupt *object.CorruptError
	f.marker, err = marker.Read(ctx, c.deps.Objects)
	if errors.As(err, &corrupt) {
		f.damaged, err = err, nil
	}
	if err == nil && f.marker == nil && f.damaged == nil && f.known == nil {
		err = c.unmarkedFacts(ctx, f)
	}
	return err
}

// fromEtcd reads a value, if it is there.
func (c *bucketClaim) fromEtcd(ctx context.Context, key string, decode func([]byte) error) error {
	kv, err := c.deps.Meta.Get(ctx, key)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = decode(kv.Value)
	}
	if err != nil {
		return &metadataFailure{fmt.Errorf("read %s from etcd: %w", key, err)}
	}
	return nil
}

// lookFor is how many of the objects that heads name are looked for.
const lookFor = 4

// unmarkedFacts looks into a bucket without a marker: a new one, or one from before there
// were any.
func (c *bucketClaim) unmarkedFacts(ctx context.Context, f *bucketFacts) error {
	for _, prefix := range []string{object.PrefixData, object.PrefixPages} {
		err := c.deps.Objects.List(ctx, prefix, "", func(o s3store.Object) bool {
			if _, _, ok := object.ParseKey(o.Key); ok {
				f.objects = o.Key
			}
			return f.objects == ""
		})
		if err != nil && !errors.Is(err, s3store.ErrDenied) && !errors.Is(err, s3store.ErrUnsupported) {
			return err
		}
	}
	for _, prefix := range []string{schema.PrefixTopics, schema.PrefixDeleted} {
		kvs, _, err := c.deps.Meta.List(ctx, prefix)
		if err != nil {
			return &metadataFailure{err}
		}
		f.topics = f.topics || len(kvs) > 0
	}
	kvs, _, err := c.deps.Meta.List(ctx, schema.PrefixHeads)
	if err != nil {
		return &metadataFailure{err}
	}
	for i := 0; i < len(kvs) && f.named < lookFor; i++ {
		h, err := schema.DecodeHead(kvs[i].Value)
		if err != nil || len(h.Slices) == 0 {
			continue
		}
		f.named++
		if _, err = c.deps.Objects.Head(ctx, object.Key(h.Slices[len(h.Slices)-1].Object)); err == nil {
			f.found++
		} else if !errors.Is(err, s3store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// placeOf names a bucket and prefix for a cluster. All agents of a cluster with the same
// settings get the same: where a store lets two of them write the marker at the same time,
// it doesn't matter which was last.
func (c *bucketClaim) placeOf(cluster string) string {
	s := c.cfg.Store
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", cluster, s.Bucket, s.Prefix, s.Directory))
	return id.Topic(sum[:16]).String()
}

func (c *bucketClaim) newMarker(f *bucketFacts) *marker.Marker {
	m := &marker.Marker{Cluster: f.cluster, Place: c.placeOf(f.cluster), Created: c.deps.Now(), By: fmt.Sprintf("agent %v, %s", c.self, c.deps.Version)}
	if f.known != nil {
		m.Place = f.known.Place
	}
	return m
}

func (c *bucketClaim) mark(ctx context.Context, f *bucketFacts) error {
	m := c.newMarker(f)
	if err := marker.Write(ctx, c.deps.Objects, m); err != nil {
		return fmt.Errorf("mark the bucket: %w", err)
	}
	c.log.Info("the bucket was marked as this cluster's", "bucket", c.cfg.Store.Place(), "cluster", m.Cluster, "key", marker.Key)
	return nil
}

// adopt replaces a marker, if the settings ask for it.
func (c *bucketClaim) adopt(ctx context.Context, f *bucketFacts) error {
	m := c.newMarker(f)
	if err := marker.Replace(ctx, c.deps.Objects, m); err != nil {
		return fmt.Errorf("mark the bucket: %w", err)
	}
	former := ""
	if f.marker != nil {
		former = f.marker.Cluster
	}
	c.log.Warn("the bucket was taken over from another cluster, as store.adopt_bucket says", "bucket", c.cfg.Store.Place(), "cluster", m.Cluster, "former", former)
	return nil
}

// note lets etcd remember where the cluster's objects are.
func (c *bucketClaim) note(ctx context.Context, f *bucketFacts) error {
	kv, err := c.deps.Meta.Get(ctx, schema.KeyBucket)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return &metadataFailure{err}
	}
	if (err == nil) != (f.known != nil) {
		return metadata.ErrConflict // another agent was quicker: look again
	}
	b := schema.Bucket{Place: f.marker.Place, Name: c.cfg.Store.Place(), Since: c.deps.Now()}
	_, err = c.deps.Meta.Txn(ctx, []metadata.Guard{{Key: schema.KeyBucket, Mod: kv.Mod}}, metadata.Put(schema.KeyBucket, b.Encode()))
	if err != nil && !errors.Is(err, metadata.ErrConflict) {
		return &metadataFailure{err}
	}
	return err
}

// checkLocal refuses a directory as bucket where other agents have the cluster too,
// unless it is set as shared.
func (c *bucketClaim) checkLocal(ctx context.Context) error {
	if c.cfg.Store.Driver != s3store.DriverDir || c.cfg.Store.AllowLocal {
		return nil
	}
	kvs, _, err := c.deps.Meta.List(ctx, schema.PrefixAgents)
	if err != nil {
		return err
	}
	for _, kv := range kvs {
		if b, err := schema.ParseAgentKey(kv.Key); err == nil && b != c.self {
			return fmt.Errorf("store.driver is dir (%s), and agent %v is registered in this cluster too: all agents need one bucket. If the directory is shared by all of them, such as over NFS, say so with store.allow_local: true", c.cfg.Store.Directory, b)
		}
	}
	return nil
}
