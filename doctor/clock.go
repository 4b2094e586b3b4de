package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"varve/metadata"
	"varve/s3store"
)

const (
	// skewWarning is the difference of clocks that is worth a word: retention, tokens and
	// Kerberos' tickets go by clocks.
	skewWarning = 5 * time.Second
	// skewFailure is from when on object stores refuse requests.
	skewFailure = 15 * time.Minute
)

const setClock = "let NTP keep the clocks: chrony, or systemd-timesyncd (timedatectl set-ntp true)"

// clock compares this host's clock with those of etcd, the bucket and other agents.
func clock(ctx context.Context, x *examination) []Finding {
	const name = "clock"
	found := []Finding{synchronized(name)}
	if e, err := x.etcd.get(ctx); err == nil && e.clockKnown {
		found = append(found, skewed(name, "etcd's", e.skew))
	}
	if b, err := x.bucket.get(ctx); err == nil && b.clockKnown {
		found = append(found, skewed(name, "the bucket's", b.skew))
	}
	c, err := x.cluster.get(ctx)
	if err != nil {
		return found
	}
	for _, a := range c.others(x.Broker) {
		if ahead, ok := x.agentClock(ctx, a.HTTP); ok {
			found = append(found, skewed(name, fmt.Sprintf("agent %v's", a.Broker), ahead))
		}
	}
	return found
}

// skewed judges how far another clock is ahead of this host's.
func skewed(name, whose string, ahead time.Duration) Finding {
	word := "behind"
	if ahead < 0 {
		word = "ahead of"
	}
	switch off := ahead.Abs().Round(time.Second); {
	case ahead.Abs() >= skewFailure:
		return failure(name, setClock, "this host's clock is %v %s %s", off, word, whose)
	case ahead.Abs() >= skewWarning:
		return warning(name, setClock, "this host's clock is %v %s %s", off, word, whose)
	}
	return ok(name, "this host's clock agrees with %s, within %v", whose, skewWarning)
}

// synchronized judges whether something keeps this host's clock.
func synchronized(name string) Finding {
	on, off, known := clockSync()
	switch {
	case !known:
		return ok(name, "this system doesn't tell whether its clock is synchronized")
	case !on:
		return warning(name, setClock, "the kernel says that nothing synchronizes the clock")
	}
	return ok(name, "the kernel says that the clock is synchronized, with an error of at most %v", short(off))
}

// agentClock reads another agent's clock from its answer.
func (x *examination) agentClock(ctx context.Context, at string) (ahead time.Duration, ok bool) {
	if at == "" || x.Web == nil {
		return 0, false
	}
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/livez", nil)
	if err != nil {
		return 0, false
	}
	began := x.Now()
	r, err := x.Web.Do(q)
	if err != nil {
		return 0, false
	}
	defer r.Body.Close()
	told, err := http.ParseTime(r.Header.Get("Date"))
	return s3store.SkewOf(began, x.Now(), told), err == nil
}

// etcdClock reads etcd's clock.
func (x *examination) etcdClock(ctx context.Context, s metadata.Store) (ahead time.Duration, ok bool) {
	c, ok := s.(metadata.Clocked)
	if !ok {
		return 0, false
	}
	began := x.Now()
	at, err := c.Clock(ctx)
	return s3store.SkewOf(began, x.Now(), at), err == nil
}
