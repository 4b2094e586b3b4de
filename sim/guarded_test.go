package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/internal/backoff"
	"varve/kafka"
)

// desk is what a person does one after the other, by a session with each agent.
type desk struct {
	p        *person
	sessions map[*host]*session
	leader   *host // of the guarded topic, as far as it is known
	next     int64 // offset to be read
}

func newDesk(p *person) *desk { return &desk{p: p, sessions: map[*host]*session{}} }

func (d *desk) close() {
	for _, h := range d.p.w.hosts {
		if s := d.sessions[h]; s != nil {
			s.close()
		}
	}
}

// session returns one with the leader, or at times with any agent. It logs in when there is none, mostly with
// the newest password; before a session is over it logs in again, or doesn't.
func (d *desk) session(ctx context.Context) *session {
	h := d.leader
	if h == nil || d.p.draw(4) == 0 {
		h = d.p.w.hosts[d.p.draw(len(d.p.w.hosts))]
	}
	s := d.sessions[h]
	if s != nil && s.k.broken() != nil {
		if time.Now().After(s.until) {
			d.p.w.guard.over()
		}
		s = nil
	}
	pw, known := d.p.password()
	if !known {
		return nil
	}
	var err error
	switch {
	case s == nil:
		s, err = d.p.open(ctx, h, pw)
	case time.Until(s.until) < maxReauth/2 && d.p.draw(8) == 0:
		err = s.login(ctx, pw)
	}
	if err != nil {
		if s != nil {
			s.close()
		}
		d.sessions[h], d.leader = nil, nil
		return nil
	}
	d.sessions[h] = s
	return s
}

// work writes records to the guarded topic, and reads it at its end, and waits there; and at times it tries the
// same with another topic.
func (p *person) work(ctx context.Context) {
	d := newDesk(p)
	defer d.close()
	for n := 0; ctx.Err() == nil; n++ {
		_ = backoff.Sleep(ctx, time.Duration(p.draw(500))*time.Millisecond)
		s := d.session(ctx)
		switch {
		case s == nil:
		case d.leader == nil:
			d.find(ctx, s)
		case p.draw(3) == 0:
			d.fetch(ctx, s, p.draw(3) == 0, time.Duration(p.draw(1500))*time.Millisecond, 1)
		default:
			d.send(ctx, s, fmt.Sprintf("%s/%d", p.name, n), p.draw(3) == 0)
		}
	}
}

// watch waits for more records than there will be, so that rules change while it waits.
func (p *person) watch(ctx context.Context) {
	d := newDesk(p)
	defer d.close()
	for ctx.Err() == nil {
		_ = backoff.Sleep(ctx, p.c.backoff())
		s := d.session(ctx)
		switch {
		case s == nil:
		case d.leader == nil:
			d.find(ctx, s)
		default:
			d.fetch(ctx, s, false, 3500*time.Millisecond, 64<<10)
		}
	}
}

// find asks for the leader.
func (d *desk) find(ctx context.Context, s *session) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	t, name := kmsg.NewMetadataRequestTopic(), guarded
	t.Topic = &name
	req.Topics = append(req.Topics, t)
	resp, asked, err := s.ask(ctx, req)
	if err != nil {
		return
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		d.p.w.guard.decided(s, acl.Describe, acl.Topic, guarded, asked, t.ErrorCode != kerr.TopicAuthorizationFailed.Code)
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Leader >= 1 {
				d.leader = d.p.w.hosts[p.Leader-1]
			}
		}
	}
	if d.leader == nil { // who may not see it asks at random
		d.leader = d.p.w.hosts[d.p.draw(len(d.p.w.hosts))]
	}
}

// send writes a record.
func (d *desk) send(ctx context.Context, s *session, value string, both bool) {
	g := d.p.w.guard
	a := &attempt{s: s, value: value, asked: time.Now()}
	g.sending(a)
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 3000
	topics := []string{guarded}
	if both {
		topics = []string{topicName, guarded}
	}
	for _, name := range topics {
		batch, err := kafka.Build(0, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: []byte(value)}}, func(kafka.Batch) {})
		if err != nil {
			panic(err)
		}
		t, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		t.Topic, rp.Records = name, batch
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)
	}
	resp, asked, err := s.ask(ctx, req)
	if err != nil {
		d.leader = nil
		return
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		code := t.Partitions[0].ErrorCode
		denied := code == kerr.TopicAuthorizationFailed.Code
		g.decided(s, acl.Write, acl.Topic, t.Topic, asked, !denied)
		if t.Topic == guarded {
			g.sent(a, denied, code == 0, t.Partitions[0].BaseOffset)
			if code != 0 && !denied {
				d.leader = nil
			}
		}
	}
}

// fetch reads once. It reports whether the leader has answered with records, or has no more.
func (d *desk) fetch(ctx context.Context, s *session, both bool, wait time.Duration, bytes int) (high int64, ok bool) {
	g := d.p.w.guard
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 12, int32(wait.Milliseconds()), int32(bytes), 64<<10, -1
	topics := []string{guarded}
	if both {
		topics = []string{topicName, guarded}
	}
	for _, name := range topics {
		t, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		t.Topic, p.PartitionMaxBytes, p.CurrentLeaderEpoch = name, 16<<10, -1
		if name == guarded {
			p.FetchOffset = d.next
		}
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	resp, asked, err := s.ask(ctx, req)
	if err != nil || resp.(*kmsg.FetchResponse).ErrorCode != 0 {
		d.leader = nil
		return 0, false
	}
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		p := t.Partitions[0]
		denied := p.ErrorCode == kerr.TopicAuthorizationFailed.Code
		when := asked
		if t.Topic == guarded && p.ErrorCode == 0 {
			ok, high = true, p.HighWatermark
			if sent := d.take(p.RecordBatches); sent.After(when) {
				when = sent // it decided again, as it waited until then
			}
		}
		if t.Topic == guarded && p.ErrorCode != 0 && !denied {
			d.leader = nil
		}
		if p.ErrorCode == kerr.OffsetOutOfRange.Code {
			d.p.w.fail("promise 3: %s: offset %d of the guarded topic, up to which it has read, is out of range", d.p.name, d.next)
		}
		g.decided(s, acl.Read, acl.Topic, t.Topic, when, !denied)
	}
	return high, ok
}

// take notes records, and returns when the newest of them was sent.
func (d *desk) take(b []byte) (newest time.Time) {
	for len(b) > 0 {
		batch, rest, err := kafka.Next(b)
		if err != nil {
			return newest
		}
		b = rest
		if batch.Validate() != nil {
			d.p.w.fail("promise 3: %s reads a damaged batch at %d", d.p.name, d.next)
			return newest
		}
		err = batch.Records(1<<20, func(x *kafka.Record) error {
			o := batch.BaseOffset() + int64(x.Index)
			if o < d.next {
				return nil
			}
			if o != d.next {
				d.p.w.fail("promise 2: %s reads offset %d of the guarded topic where %d should be", d.p.name, o, d.next)
			}
			if at := d.p.w.guard.read(d.p, o, string(x.Value)); at.After(newest) {
				newest = at
			}
			d.next = o + 1
			return nil
		})
		if err != nil {
			d.p.w.fail("promise 3: %s reads a batch that can't be decoded at %d: %v", d.p.name, d.next, err)
			return newest
		}
	}
	return newest
}

// readAll reads the whole guarded topic.
func (p *person) readAll(ctx context.Context) bool {
	d := newDesk(p)
	defer d.close()
	for ctx.Err() == nil {
		s := d.session(ctx)
		if s != nil && d.leader == nil {
			d.find(ctx, s)
		} else if s != nil {
			if high, ok := d.fetch(ctx, s, false, 0, 1); ok && d.next >= high && d.next >= p.w.guard.last() {
				return true
			}
		}
		_ = backoff.Sleep(ctx, p.c.backoff())
	}
	p.w.fail("promise 1: the guarded topic can't be read from offset %d on, %d were acknowledged or read", d.next, p.w.guard.last())
	return false
}
