package agent

import (
	"fmt"
	"strings"
	"time"

	"varve/metadata/schema"
	"varve/tiering/marker"
)

// bucketFacts is what is known of whose the bucket is.
type bucketFacts struct {
	cluster string         // that etcd holds; "": none yet
	known   *schema.Bucket // what etcd remembers of the cluster's bucket; nil: nothing
	marker  *marker.Marker // nil: the bucket has none
	damaged error          // something that can't be read is in the marker's place
	objects string         // key of an object that some cluster wrote; looked for where nothing else tells
	topics  bool           // etcd has topics, or did
	named   int            // objects that heads name and that were looked for
	found   int            // and were there
}

// claim is what is to be done about a bucket.
type claim uint8

const (
	claimNothing claim = iota // it is this cluster's, by etcd
	claimNote                 // it has this cluster's marker; etcd is to remember the place
	claimMark                 // it has no marker yet
	claimAdopt                // its marker is to be replaced
)

// unmarked is the value of store.adopt_bucket for objects without a marker.
const unmarked = "unmarked"

// foreignBucket reports that the bucket isn't this cluster's, or can't be known to be.
type foreignBucket struct{ text string }

func (e *foreignBucket) Error() string { return e.text }

// place is what refusals speak of.
type place struct {
	bucket string // where it is
	prefix string // of etcd
	adopt  string // store.adopt_bucket
}

// judge decides what is to be done; an error is a *foreignBucket.
func (f *bucketFacts) judge(at place) (claim, error) {
	switch {
	case f.damaged != nil && at.adopt == unmarked:
		return claimAdopt, nil
	case f.damaged != nil:
		return 0, at.refuse(unmarked, "the bucket %s has no readable marker of its cluster: %v. Something else may have written %q there", at.bucket, f.damaged, marker.Key)
	case f.marker == nil:
		return f.judgeUnmarked(at)
	case f.marker.Cluster != f.cluster:
		if at.adopt == f.marker.Cluster && f.cluster != "" {
			return claimAdopt, nil
		}
		return 0, f.foreign(at)
	case f.known == nil:
		return claimNote, nil
	case f.known.Place != f.marker.Place:
		if at.adopt == f.marker.Cluster {
			return claimNote, nil
		}
		return 0, at.refuse(f.marker.Cluster, "cluster %s has its objects in %s; this agent's settings name %s, which bears its marker as well, of another place: an earlier start took it by mistake, or there are two copies", f.cluster, f.known.Name, at.bucket)
	}
	return claimNothing, nil
}

func (f *bucketFacts) judgeUnmarked(at place) (claim, error) {
	adopted := at.adopt == unmarked
	switch {
	case adopted && f.cluster != "":
		return claimMark, nil
	case f.known != nil:
		return 0, at.refuse(unmarked, "cluster %s has its objects in %s, marked as such; this agent's settings name %s, where no marker is", f.cluster, f.known.Name, at.bucket)
	case f.objects != "" && !f.topics:
		return 0, at.refuse(unmarked, "the bucket %s holds objects of a cluster, such as %s, but etcd (prefix %q) holds no topic at all", at.bucket, f.objects, at.prefix)
	case f.named > 0 && f.found == 0:
		return 0, at.refuse(unmarked, "none of %d objects of cluster %s that were looked for is in the bucket %s", f.named, f.cluster, at.bucket)
	}
	return claimMark, nil
}

// foreign is the refusal of a bucket with another cluster's marker.
func (f *bucketFacts) foreign(at place) error {
	holds := "holds no cluster yet"
	if f.cluster != "" {
		holds = "holds cluster " + f.cluster
	}
	return at.refuse(f.marker.Cluster, "the bucket %s is cluster %s's (marked %s by %s), but etcd (prefix %q) %s",
		at.bucket, f.marker.Cluster, f.marker.Created.UTC().Format(time.DateTime), f.marker.By, at.prefix, holds)
}

// refuse reports what to check, and how to decide otherwise.
func (at place) refuse(adopt, format string, args ...any) error {
	var b strings.Builder
	fmt.Fprintf(&b, format, args...)
	b.WriteString(". Nothing was written. Check etcd.endpoints and etcd.prefix, then store.bucket, store.prefix and store.endpoint (store.directory with driver dir)." +
		" If the cluster's etcd is lost, keep the bucket as it is: 'varve restore' is to rebuild a cluster from it, and does not exist yet; docs/operations.md, \"The bucket is another cluster's\", says what can be done.")
	fmt.Fprintf(&b, " To take the bucket over all the same, which gives the other cluster's objects up: store.adopt_bucket: %s (--store-adopt-bucket %s)", adopt, adopt)
	return &foreignBucket{b.String()}
}
