// Produce, versions 0 to 13: 3 transactional ids (KIP-98), 7 zstd (KIP-110), 8 errors by
// record (KIP-467), 10 the present leader in the answer (KIP-951), 11
// TRANSACTION_ABORTABLE (KIP-890), 13 topic ids (KIP-516).

package broker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/quota"
	"varve/cluster"
	"varve/internal/id"
	"varve/kafka"
	"varve/partition"
)

// produceAPI serves Produce.
type produceAPI struct {
	opening     *opening
	directory   *directory
	view        *cluster.View
	journal     Journal
	maxThrottle time.Duration
	metrics     *metrics
}

// produceCall is a produce request whose batches are on their way.
type produceCall struct {
	api     *produceAPI
	c       *conn
	out     response
	request request
	req     kmsg.ProduceRequest
	slots   []produceSlot
	left    atomic.Int32  // slots that have no outcome, and 1 while batches are being appended
	mu      sync.Mutex    // guards the outcomes against the deadline
	sealed  bool          // the answer was made
	pause   time.Duration // for which the client should wait; final once the answer is sealed
}

// produceSlot is one partition of a produce request.
type produceSlot struct {
	call    *produceCall
	index   int32
	base    int64
	start   int64 // log start offset
	stamp   int64 // of LogAppendTime, or -1
	records int32
	size    int
	err     error
	done    bool
	at      id.Partition
}

// Appended takes the outcome. It may come from any goroutine.
func (s *produceSlot) Appended(base int64, err error) {
	s.call.mu.Lock()
	if s.done || s.call.sealed {
		s.call.mu.Unlock()
		return
	}
	s.base, s.err, s.done = base, err, true
	s.call.mu.Unlock()
	s.call.release()
}

func (call *produceCall) release() {
	if call.left.Add(-1) == 0 {
		call.answer()
	}
}

// produce appends every batch and queues the answer, which is ready when all are
// committed. Requests of one connection overlap; their order is kept.
func (api *produceAPI) produce(ctx context.Context, c *conn, r *request) error {
	size := len(r.body)
	if err := checkProduce(r.body, r.Version); err != nil {
		return err
	}
	if r.Version < 3 {
		return c.refuseOldProduce(r)
	}
	call := &produceCall{api: api, c: c, request: *r}
	call.req.Version = r.Version
	if err := kafka.Decode(r.body, &call.req); err != nil {
		return err
	}
	call.request.body = nil
	call.out.req = &call.request
	call.out.deadline = r.arrived.Add(min(max(time.Millisecond, time.Duration(call.req.TimeoutMillis)*time.Millisecond), maxWait))
	call.out.expire = call.expire
	call.slots = make([]produceSlot, slotsOf(&call.req))
	call.left.Store(int32(len(call.slots)) + 1)
	call.pause = api.pressure()
	api.metrics.throttle.Add(call.pause.Seconds())
	limits := c.throttle.limits(r.caller)
	call.pause = max(call.pause, c.throttle.held(limits, quota.ProducerByteRate, limits.Record(quota.ProducerByteRate, float64(len(r.frame.bytes)), r.arrived)))
	if call.req.Acks != 0 {
		if err := c.queue(&call.out); err != nil {
			return err
		}
	}
	waiting := &deadline{Context: ctx, at: call.out.deadline, work: kafka.NewWork(size)}
	defer waiting.cancel()
	slots := call.slots
	for i := range call.req.Topics {
		n := len(call.req.Topics[i].Partitions)
		api.produceTopic(waiting, call, &call.req.Topics[i], slots[:n])
		slots = slots[n:]
	}
	if call.req.Acks != 0 { // as by Kafka
		call.hold(c.throttle.worked(limits, r))
	}
	call.release()
	c.throttle.hold(call.pause)
	if call.req.Acks == 0 {
		return call.firstError()
	}
	return nil
}

// hold has the client wait for at least so long. If the answer was made before, only its
// connection is held back.
func (call *produceCall) hold(pause time.Duration) {
	call.c.throttle.hold(pause)
	call.mu.Lock()
	defer call.mu.Unlock()
	if !call.sealed {
		call.pause = max(call.pause, pause)
	}
}

// maxWait is the longest that any request waits, whatever it asks for.
const maxWait = 5 * time.Minute

// slotsOf counts the partitions, so that slots are allocated once.
func slotsOf(req *kmsg.ProduceRequest) (n int) {
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	return n
}

// pressure returns for how long to hold a producer back.
func (api *produceAPI) pressure() time.Duration {
	return time.Duration(float64(api.maxThrottle) * api.journal.Pressure())
}

func (api *produceAPI) produceTopic(ctx context.Context, call *produceCall, t *kmsg.ProduceRequestTopic, slots []produceSlot) {
	topic, err := call.topic(ctx, t)
	if err == kerr.UnknownTopicOrPartition && cluster.IsInternal(t.Topic) || topic != nil && cluster.IsInternal(topic.Name) {
		err = kerr.InvalidTopicException
	}
	if err == nil && call.req.Acks != 0 && call.req.Acks != 1 && call.req.Acks != -1 {
		err = kerr.InvalidRequiredAcks
	}
	for k := range t.Partitions {
		p, slot := &t.Partitions[k], &slots[k]
		slot.call, slot.index, slot.base = call, p.Partition, -1
		if err == nil {
			slot.at = id.Partition{Topic: topic.ID, Index: p.Partition}
			slot.records, slot.size = recordsIn(p.Records), len(p.Records)
		}
		if err := api.appendTo(ctx, topic, err, slot, p.Records); err != nil {
			slot.Appended(-1, err)
		}
		p.Records = nil // the journal has a copy, and the answer may be long in coming
	}
}

// topic finds a topic that the caller may write to. By name it isn't told whether another
// one exists.
func (call *produceCall) topic(ctx context.Context, t *kmsg.ProduceRequestTopic) (*cluster.Topic, error) {
	if id := call.req.TransactionID; id != nil {
		if err := call.request.caller.check(opWrite, onTransactionalID, *id); err != nil {
			return nil, err
		}
	}
	return call.api.opening.topicFor(ctx, call.request.caller, opWrite, call.req.Version >= 13, t.Topic, t.TopicID)
}

func recordsIn(b []byte) int32 {
	if len(b) < kafka.BatchHeaderBytes {
		return 0
	}
	return kafka.Batch(b).Count()
}

// appendTo appends the one batch that a partition's records must be.
func (api *produceAPI) appendTo(ctx context.Context, topic *cluster.Topic, err error, slot *produceSlot, records []byte) error {
	if err != nil {
		return err
	}
	if slot.index < 0 || slot.index >= topic.Partitions {
		return kerr.UnknownTopicOrPartition
	}
	p, err := api.opening.partition(ctx, slot.call.request.arrived, slot.at)
	if err != nil {
		return err
	}
	if slot.call.req.Acks == -1 {
		if err := api.inSync(p); err != nil {
			return err
		}
	}
	batch, err := kafka.One(records)
	if err != nil {
		return err
	}
	if slot.call.req.Version < 7 && batch.Codec() == kafka.Zstd { // KIP-110
		return refuse(kafka.ErrCodec, "Produce version %d does not allow zstd", slot.call.req.Version)
	}
	now := p.Now() // not when the request arrived, which is by the clock of timeouts
	slot.start, slot.stamp = p.LogStart(), -1
	if p.Settings().LogAppendTime {
		slot.stamp = now
	}
	return p.Append(ctx, batch, now, id.NoEpoch, slot)
}

// inSync refuses, as Kafka does, what asks for all acknowledgements while fewer members
// of the journal's ensemble are alive than the topic demands.
func (api *produceAPI) inSync(p *partition.Partition) error {
	want := p.Settings().MinInSync
	if want <= 1 {
		return nil // the owner itself is one
	}
	if n := api.view.LiveMembers(p.Head().Owner); n < want {
		return refuse(kerr.NotEnoughReplicas, "%d of the journal's members are alive, min.insync.replicas is %d", n, want)
	}
	return nil
}

// expire answers with what is known when the client's patience ends.
func (call *produceCall) expire() { call.answer() }

// answer makes the response; only the first call counts.
func (call *produceCall) answer() {
	call.mu.Lock()
	if call.sealed {
		call.mu.Unlock()
		return
	}
	call.sealed = true
	for i := range call.slots {
		if s := &call.slots[i]; !s.done {
			s.err = kerr.RequestTimedOut
		}
	}
	call.mu.Unlock()
	call.count()
	if call.req.Acks == 0 {
		return
	}
	call.out.frame = [][]byte{kafka.AppendResponse(nil, call.request.CorrelationID, call.response())}
	call.c.finish(&call.out)
}

func (call *produceCall) count() {
	m := call.api.metrics
	for i := range call.slots {
		if s := &call.slots[i]; s.err == nil {
			m.records.Add(float64(s.records))
			m.produced.Add(float64(s.size))
		} else {
			m.errors.WithLabelValues("Produce", codeOf(s.err).Message).Inc()
		}
	}
}

func (call *produceCall) response() *kmsg.ProduceResponse {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = call.req.Version
	resp.ThrottleMillis = int32(call.pause.Milliseconds())
	resp.Topics = make([]kmsg.ProduceResponseTopic, len(call.req.Topics))
	next := 0
	for i := range call.req.Topics {
		t := &resp.Topics[i]
		t.Topic, t.TopicID = call.req.Topics[i].Topic, call.req.Topics[i].TopicID
		t.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(call.req.Topics[i].Partitions))
		for k := range t.Partitions {
			call.slots[next].fill(&t.Partitions[k], call.req.Topics[i].Partitions[k].Partition, resp)
			next++
		}
	}
	return resp
}

// fill makes a partition's answer. Of a slot whose turn has not come only err is
// set.
func (s *produceSlot) fill(p *kmsg.ProduceResponseTopicPartition, index int32, resp *kmsg.ProduceResponse) {
	p.Default()
	p.Partition, p.BaseOffset, p.LogAppendTime, p.LogStartOffset = index, s.base, -1, -1
	if s.err == nil {
		p.LogStartOffset = s.start
		p.LogAppendTime = s.stamp
		return
	}
	code := codeOf(s.err)
	p.ErrorCode, p.BaseOffset, p.LogStartOffset = code.Code, -1, -1
	p.ErrorMessage = said(s.err)
	var each *partition.RecordErrors
	if errors.As(s.err, &each) {
		for _, r := range each.Records {
			p.ErrorRecords = append(p.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: r.Index, ErrorMessage: &r.Message})
		}
	}
	if code == kerr.NotLeaderForPartition {
		s.call.api.hintProduce(s.call.request.caller, s.at, p, resp)
	}
}

// hintProduce names the present leader (KIP-951).
func (api *produceAPI) hintProduce(c *caller, at id.Partition, p *kmsg.ProduceResponseTopicPartition, resp *kmsg.ProduceResponse) {
	o, ok := api.directory.otherOwner(at)
	if !ok || resp.Version < 10 {
		return
	}
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(o.Broker), int32(o.Epoch)
	for _, n := range resp.Brokers {
		if n.NodeID == int32(o.Broker) {
			return
		}
	}
	if host, port, rack, ok := api.directory.endpoint(c, o.Broker); ok {
		n := kmsg.NewProduceResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = int32(o.Broker), host, port, rack
		resp.Brokers = append(resp.Brokers, n)
	}
}

// firstError ends the connection of an acks=0 producer, which can learn of an
// error in no other way.
func (call *produceCall) firstError() error {
	call.mu.Lock()
	defer call.mu.Unlock()
	for i := range call.slots {
		if s := &call.slots[i]; s.done && s.err != nil {
			return s.err
		}
	}
	return nil
}

// refuseOldProduce answers versions that are advertised only so that old
// librdkafka finds the API (KIP-896).
func (c *conn) refuseOldProduce(r *request) error {
	req := kmsg.NewPtrProduceRequest()
	req.Version = r.Version
	if err := kafka.Decode(r.body, req); err != nil {
		return err
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = r.Version
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, kerr.UnsupportedVersion.Code, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if req.Acks == 0 {
		return kerr.UnsupportedVersion
	}
	return c.send(r, resp)
}
