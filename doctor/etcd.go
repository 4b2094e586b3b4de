package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"varve/internal/say"
	"varve/metadata"
)

const (
	putTimes    = 10
	putSlow     = 25 * time.Millisecond  // median of a write: an offset commit waits for it
	putStalls   = 250 * time.Millisecond // the longest
	leastQuota  = 2 << 30                // etcd's default
	fullWarning = 80                     // percent of the quota
	oldestEtcd  = 3005                   // version 3.5
	keyLife     = 30 * time.Second       // of the temporary key, if the doctor dies
	keyPrefix   = "doctor/"
	defaultSize = 2 << 30 // the quota of a server that doesn't tell
)

// etcdFacts is what was learned of etcd.
type etcdFacts struct {
	metadata.Examination
	writes     times
	writeErr   error
	clockKnown bool
	skew       time.Duration // how far etcd's clock is ahead of this host's
}

var errNoEndpoint = errors.New("no endpoint answers")

// askEtcd examines etcd.
func (x *examination) askEtcd(ctx context.Context) (*etcdFacts, error) {
	seen, err := metadata.Examine(ctx, x.Etcd, x.Log)
	if err != nil {
		return nil, err
	}
	f := &etcdFacts{Examination: seen}
	if !slices.ContainsFunc(seen.Endpoints, func(e metadata.EndpointState) bool { return e.Err == nil }) {
		f.writeErr = errNoEndpoint
		return f, nil
	}
	s, err := metadata.Open(ctx, x.Etcd, x.Log, nil)
	if err != nil {
		f.writeErr = err
		return f, nil
	}
	defer s.Close()
	f.skew, f.clockKnown = x.etcdClock(ctx, s)
	f.writes, f.writeErr = x.writeKey(ctx, s)
	return f, nil
}

// writeKey writes a temporary key several times and removes it. It goes with a lease, should the
// doctor die.
func (x *examination) writeKey(ctx context.Context, s metadata.Store) (took times, err error) {
	lease, err := s.Session(ctx, keyLife)
	if err != nil {
		return nil, err
	}
	key := keyPrefix + x.temporary()
	defer func() {
		ctx, cancel := cleaning(ctx)
		defer cancel()
		_, gone := s.Txn(ctx, nil, metadata.Delete(key))
		err = errors.Join(err, gone, lease.Close(ctx))
	}()
	for i := range putTimes {
		at := time.Now()
		if _, err := s.Txn(ctx, nil, metadata.PutLeased(key, []byte(strconv.Itoa(i)), lease.Lease())); err != nil {
			return took, err
		}
		took = append(took, time.Since(at))
	}
	_, err = s.Get(ctx, key)
	return took, err
}

// etcd judges etcd: its servers, its space, and how quickly it writes.
func etcd(ctx context.Context, x *examination) []Finding {
	const name = "etcd"
	f, err := x.etcd.get(ctx)
	if err != nil {
		return []Finding{failure(name, "check etcd.endpoints and that etcd runs", "%s", word(err))}
	}
	return f.judge(name)
}

func (f *etcdFacts) judge(name string) []Finding {
	found := append(f.servers(name), f.alarms(name)...)
	if f.writeErr == errNoEndpoint {
		return found
	}
	found = append(found, f.sizes(name)...)
	return append(found, f.written(name))
}

// servers judges whether the endpoints answer, and what they say of their cluster.
func (f *etcdFacts) servers(name string) (found []Finding) {
	answers, versions := 0, map[string]bool{}
	for _, e := range f.Endpoints {
		if e.Err == nil {
			answers++
		}
	}
	for _, e := range f.Endpoints {
		switch {
		case e.Err != nil && answers == 0:
			found = append(found, failure(name, "check etcd.endpoints, that etcd runs, and the network and TLS between here and there", "%s: %s", e.Endpoint, word(e.Err)))
		case e.Err != nil:
			found = append(found, warning(name, "start that server, or take it out of etcd.endpoints", "%s: %s", e.Endpoint, word(e.Err)))
		case !e.Leader:
			found = append(found, failure(name, "start as many of etcd's servers as a majority needs, and check the network between them", "%s knows of no leader", e.Endpoint))
		case versionNumber(e.Version) < oldestEtcd:
			found = append(found, failure(name, "upgrade etcd to 3.5 or later", "%s has version %s", e.Endpoint, e.Version))
		default:
			found = append(found, ok(name, "%s answers in %v, version %s", e.Endpoint, short(e.Took), e.Version))
		}
		for _, p := range e.Problems {
			found = append(found, warning(name, "see etcd's own log", "%s says: %s", e.Endpoint, p))
		}
		if e.Err == nil {
			versions[e.Version] = true
		}
	}
	if len(versions) > 1 {
		found = append(found, warning(name, "end the upgrade of etcd", "its servers have %d versions", len(versions)))
	}
	return append(found, f.voters(name)...)
}

// voters judges how many members there are.
func (f *etcdFacts) voters(name string) (found []Finding) {
	voters := 0
	for _, m := range f.Members {
		if !m.Learner {
			voters++
		}
		if !m.Started {
			found = append(found, warning(name, "start it, or remove it (etcdctl member remove)", "a member was added and never started"))
		}
	}
	switch {
	case f.Err != nil:
		found = append(found, failure(name, "start as many of etcd's servers as a majority needs, and check the network between them", "it answers, and doesn't tell its members and alarms: %s", word(f.Err)))
	case voters == 0:
	case voters < 3:
		found = append(found, warning(name, "run 3 members: without etcd topics and offsets can't change, and no agent replaces a dead one", "it has %s, and stands no failure", say.Count(voters, "member")))
	default:
		found = append(found, ok(name, "it has %d members, of which %d may fail", voters, (voters-1)/2))
	}
	return found
}

func (f *etcdFacts) alarms(name string) (found []Finding) {
	for _, a := range f.Alarms {
		do := "restore that member from a healthy one: its data differ from the others'"
		if strings.HasPrefix(a, "NOSPACE") {
			do = "it takes no writes: give it more (--quota-backend-bytes), compact and defragment it, then 'etcdctl alarm disarm' (docs/operations.md)"
		}
		found = append(found, failure(name, do, "it raises the alarm %s", a))
	}
	return found
}

// sizes judges how full the databases are.
func (f *etcdFacts) sizes(name string) (found []Finding) {
	for _, e := range f.Endpoints {
		if e.Err != nil {
			continue
		}
		quota, told := e.Quota, "of "+say.Bytes(e.Quota)
		if quota <= 0 {
			quota, told = defaultSize, "of 2.1 GB, if its quota is the default, which it doesn't tell"
		}
		percent := e.Size * 100 / quota
		text := fmt.Sprintf("the database of %s has %s %s, %s of it in use", e.Endpoint, say.Bytes(e.Size), told, say.Bytes(e.InUse))
		switch {
		case percent >= fullWarning:
			found = append(found, warning(name, "raise --quota-backend-bytes (8589934592 suits), and defragment it; look what else uses this etcd", "%s", text))
		case e.Quota > 0 && e.Quota < leastQuota:
			found = append(found, warning(name, "raise --quota-backend-bytes (8589934592 suits)", "%s", text))
		default:
			found = append(found, ok(name, "%s", text))
		}
	}
	return found
}

// written judges how quickly it writes.
func (f *etcdFacts) written(name string) Finding {
	if f.writeErr != nil {
		do := "check that a majority of etcd's servers runs and that it has space"
		if errors.Is(f.writeErr, metadata.ErrDenied) {
			do = "check etcd.username and its password, and that the user's role may read and write all keys below etcd.prefix"
		}
		return failure(name, do, "write a temporary key: %s", word(f.writeErr))
	}
	p50, most := f.writes.percentile(50), f.writes.percentile(100)
	text := fmt.Sprintf("a write takes %v (median), %v (longest of %d)", short(p50), short(most), len(f.writes))
	if p50 > putSlow || most > putStalls {
		return warning(name, "each offset commit waits for that: give etcd disks of its own that sync quickly, near the agents", "%s", text)
	}
	return ok(name, "%s", text)
}

// versionNumber makes 3005 of "3.5.1"; a text that is no version is the newest.
func versionNumber(v string) int {
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return oldestEtcd
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return oldestEtcd
	}
	return major*1000 + minor
}
