// Fetch, versions 4 to 18: 4 isolation levels (KIP-98), 5 log start offsets (KIP-107), 7
// sessions (KIP-227), 9 leader epochs (KIP-320), 10 zstd (KIP-110), 11 racks (KIP-392),
// 12 diverging epochs (KIP-595), 13 topic ids (KIP-516), 14 offsets moved to tiered
// storage (KIP-405), 15 replica state (KIP-903), 16 the present leader (KIP-951), 17
// directory ids (KIP-853), 18 high watermarks of followers (KIP-1166).

package broker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/auth/quota"
	"varve/cluster"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/kafka"
	"varve/partition"
)

// readCommitted is the isolation level of clients that ask for the records of committed
// transactions only (KIP-98).
const readCommitted = 1

// fetchAPI serves Fetch.
type fetchAPI struct {
	opening   *opening
	directory *directory
	view      *cluster.View
	sessions  *sessions
	tierShare func() int // Deps.TierShare
	maxBytes  int        // of an answer
	metrics   *metrics
}

// fetchCall is a fetch request being worked on.
type fetchCall struct {
	api     *fetchAPI
	c       *conn
	r       *request
	req     kmsg.FetchRequest
	limit   int
	parts   []*fetchPart
	session *fetchSession
	rules   *acl.Rules    // by which the partitions were authorized
	pause   time.Duration // for which the client should wait, and gets no records
}

// fetchPart is one partition of a fetch.
type fetchPart struct {
	want  fetchWant
	topic *cluster.Topic
	p     *partition.Partition
	err   error
	state partition.State
	at    partition.Place // where data is, or what wasn't read
	data  partition.Data
}

// fetch answers with what there is, or waits until there is enough. It queues
// its own answer, whose records stay where they are until they are sent.
func (api *fetchAPI) fetch(ctx context.Context, c *conn, r *request) error {
	call := &fetchCall{api: api, c: c, r: r}
	call.req.Version = r.Version
	call.req.Default()
	if err := kafka.Decode(r.body, &call.req); err != nil {
		return err
	}
	r.body = nil
	r.frame.free(true) // it may wait for long
	call.limit = api.maxBytes
	if call.req.MaxBytes > 0 {
		call.limit = min(call.limit, int(call.req.MaxBytes))
	}
	limits := c.throttle.limits(r.caller)
	if most, ok := limits.Most(quota.ConsumerByteRate); ok {
		call.limit = int(min(float64(call.limit), most))
	}
	// One answer with records at a time: what a client does not read costs no more.
	waiting := time.Now()
	if err := c.fetching.Acquire(ctx, 1); err != nil {
		return err
	}
	r.waits(waiting)
	resp, err := call.open(ctx)
	if err == nil {
		call.collect(ctx)
		if call.pause = call.overQuota(limits); call.pause > 0 {
			resp = call.encodeNothing()
		} else {
			resp = call.encode()
		}
		api.sessions.close(call.session)
	}
	c.throttle.hold(call.pause)
	out := &response{frame: resp, req: r, release: func() {
		call.releaseAll()
		c.fetching.Release(1)
	}}
	out.ready.Store(true)
	return c.queue(out)
}

// overQuota returns for how long the client has to wait before it gets the records that were
// read: if it does, they don't count.
func (call *fetchCall) overQuota(limits *quota.Client) time.Duration {
	if limits == nil {
		return 0
	}
	t := &call.c.throttle
	if wait := t.worked(limits, call.r); wait > 0 {
		return wait
	}
	bytes := 0
	for _, fp := range call.parts {
		bytes += fp.data.Bytes
	}
	if bytes == 0 {
		return 0
	}
	return t.held(limits, quota.ConsumerByteRate, limits.Try(quota.ConsumerByteRate, float64(bytes), time.Now()))
}

// open finds the session and the partitions; an error is answered by resp.
func (call *fetchCall) open(ctx context.Context) (resp [][]byte, err error) {
	var wants []fetchWant
	call.session, wants, err = call.api.sessions.open(call.r.caller.principal, &call.req)
	if err != nil {
		return call.encodeError(codeOf(err)), err
	}
	call.parts, call.rules = make([]*fetchPart, len(wants)), call.r.caller.rules()
	for i, w := range wants {
		call.parts[i] = call.api.fetchPart(ctx, call.r, w)
	}
	return nil, nil
}

func (api *fetchAPI) fetchPart(ctx context.Context, r *request, w fetchWant) *fetchPart {
	fp := &fetchPart{want: w}
	fp.topic, fp.err = api.opening.topicFor(ctx, r.caller, opRead, r.Version >= 13, w.name, w.topic)
	if fp.err != nil {
		return fp
	}
	if w.partition < 0 || w.partition >= fp.topic.Partitions {
		fp.err = kerr.UnknownTopicOrPartition
		return fp
	}
	fp.p, fp.err = api.opening.partition(ctx, r.arrived, id.Partition{Topic: fp.topic.ID, Index: w.partition})
	return fp
}

// reauthorize gives partitions up that the caller may no longer read: it may have waited for
// minutes.
func (call *fetchCall) reauthorize() {
	c := call.r.caller
	if c.rules() == call.rules || mutate.On(mutate.KeepWaiting) {
		return
	}
	call.rules = c.rules()
	for _, fp := range call.parts {
		if fp.p == nil {
			continue
		}
		if err := c.check(opRead, onTopic, fp.topic.Name); err != nil {
			fp.p, fp.err = nil, err
		}
	}
}

// collect waits, as long as the request allows, until there is enough, and reads.
// While it waits nothing is read: partitions count what becomes readable.
func (call *fetchCall) collect(ctx context.Context) {
	deadline := call.r.arrived.Add(min(time.Duration(call.req.MaxWaitMillis)*time.Millisecond, maxWait))
	need := int64(min(int(call.req.MinBytes), call.limit))
	patient := need > 0 && call.req.MaxWaitMillis > 0
	if patient && !call.available(need) {
		call.await(ctx, deadline, need, func(fp *fetchPart) int64 { return fp.want.offset })
	}
	if call.read(ctx) || !patient || ctx.Err() != nil {
		return
	}
	// The tier is busy or away, and nothing is new at the tail.
	call.await(ctx, deadline, need, func(fp *fetchPart) int64 { return fp.state.High })
	call.read(ctx)
}

// available reports whether enough can be read, or something answered at once,
// without reading.
func (call *fetchCall) available(need int64) bool {
	for _, fp := range call.parts {
		if fp.p == nil {
			return true
		}
		limit := min(need, fp.want.room())
		bytes, now := fp.p.Available(call.reading(fp, fp.want.offset, int(limit), false))
		if need -= min(bytes, limit); need <= 0 || now {
			return true
		}
	}
	return false
}

// await returns when enough can be read from the offsets on that from returns, or
// the time is over.
func (call *fetchCall) await(ctx context.Context, deadline time.Time, need int64, from func(*fetchPart) int64) {
	defer call.r.waits(time.Now())
	w := partition.NewWatcher(need)
	for _, fp := range call.parts {
		if fp.p != nil {
			fp.p.Watch(w, call.reading(fp, from(fp), int(fp.want.room()), false))
			defer fp.p.Unwatch(w)
		}
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-w.C:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reading is what is to be read of a partition.
func (call *fetchCall) reading(fp *fetchPart, offset int64, limit int, always bool) partition.Reading {
	return partition.Reading{Offset: offset, Limit: limit, Always: always, Epoch: fp.want.epoch, Stable: call.req.IsolationLevel == readCommitted}
}

// read reads once through all partitions and reports whether there is something to
// answer: records or errors.
func (call *fetchCall) read(ctx context.Context) (answer bool) {
	call.releaseAll()
	call.reauthorize()
	rest, always, failed := call.limit, true, false
	var tier, peers []*fetchPart
	for _, fp := range call.order() {
		if fp.p == nil {
			failed = true
			continue
		}
		limit := min(rest, int(fp.want.maxBytes))
		fp.data, fp.at, fp.state, fp.err = fp.p.ReadNear(call.reading(fp, fp.want.offset, limit, always))
		if errors.Is(fp.err, partition.ErrOutOfRange) && fp.want.offset > fp.state.High {
			fp.err = cmp.Or(fp.p.Confirm(ctx), fp.err)
		}
		failed = failed || fp.err != nil
		switch {
		case fp.at == partition.AtPeers:
			peers = append(peers, fp)
		case fp.at == partition.InTier && (limit > 0 || always):
			tier = append(tier, fp)
		}
		if fp.data.Bytes > 0 {
			always = false
			rest -= fp.data.Bytes
		}
	}
	if len(peers)+len(tier) > 0 {
		defer call.r.waits(time.Now())
	}
	if len(peers) > 0 {
		part := rest * len(peers) / (len(peers) + len(tier))
		rest -= part
		done := make(chan bool, 1)
		go func() { done <- call.readPeers(ctx, peers, part, always && len(tier) == 0) }()
		defer func() { answer = <-done || answer }()
	}
	return call.readTier(ctx, tier, rest, always) > 0 || !always || failed
}

// order begins at another partition each time, so that none is starved.
func (call *fetchCall) order() []*fetchPart {
	n := len(call.parts)
	if n == 0 || call.session == nil {
		return call.parts
	}
	k := call.session.turn(n)
	return append(append(make([]*fetchPart, 0, n), call.parts[k:]...), call.parts[:k]...)
}

func (call *fetchCall) releaseAll() {
	for _, fp := range call.parts {
		fp.data.Release()
	}
}
