package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"varve/audit"
	"varve/cluster"
	"varve/internal/id"
	"varve/internal/wire"
	"varve/kafka"
	"varve/owner"
	"varve/partition"
	"varve/wal/replica"
)

// audit returns the log of who did what.
func (p *process) audit() *slog.Logger {
	log := p.log
	if p.trail != nil {
		log = slog.New(slog.NewMultiHandler(log.Handler(), p.trail.Handler()))
	}
	return log.With("part", "audit")
}

// flushAudit waits until the audit topic has all lines, at most for drainTime.
func (p *process) flushAudit(ctx context.Context) {
	if p.trail == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if n := p.trail.Flush(ctx); n > 0 {
		p.log.Warn("the last audit lines may be missing in the audit topic", "lines", n)
	}
}

// auditSink stores the lines of this agent in one partition of the audit topic, so that they
// keep their order.
type auditSink struct {
	*process
	view   *cluster.View
	editor *cluster.Editor
	peers  *replica.Node
}

// run begins to write the audit log to its topic, if it has one, until ctx ends.
func (s *auditSink) run(ctx context.Context) {
	if s.trail == nil {
		return
	}
	random := s.random.Split()
	s.process.run(func() { s.trail.Run(ctx, s, random) })
}

// Store sends a batch to the agent that owns the partition. It may be this agent.
func (s *auditSink) Store(ctx context.Context, b kafka.Batch) error {
	t, err := s.topic(ctx)
	if err != nil {
		return err
	}
	p := id.Partition{Topic: t.ID, Index: int32(s.self) % t.Partitions}
	o, _ := s.view.Owner(p)
	live, ok := s.view.Agent(o.Broker)
	if !ok || live.Incarnation != o.Incarnation {
		return fmt.Errorf("partition %d of %s has no owner", p.Index, t.Name)
	}
	answer, err := s.peers.Give(ctx, live.Store, giveAudit, encodeGiven(p, b))
	if err != nil {
		return fmt.Errorf("give to agent %v, which owns partition %d of %s: %w", o.Broker, p.Index, t.Name, err)
	}
	return decodeOutcome(answer)
}

// topic returns the audit topic, and creates it if it is missing.
func (s *auditSink) topic(ctx context.Context) (*cluster.Topic, error) {
	name := s.cfg.Security.AuditTopic
	if t, ok := s.view.Topic(name); ok {
		return t, nil
	}
	t, err := s.editor.CreateTopic(ctx, name, s.cfg.Kafka.DefaultPartitions, nil)
	if err != nil {
		return nil, err // another agent may have been quicker: then the view shows it soon
	}
	s.audit().Info("topic created automatically", "topic", name, "partitions", t.Partitions)
	return t, nil
}

// What agents give to each other, see replica.Node.Give.
const (
	giveAudit uint32 = iota + 1 // encodeGiven -> encodeOutcome
)

// taker takes what other agents give to this one.
type taker struct {
	*process
	view  *cluster.View
	owned *owner.Set
}

// take handles what an agent gives. It may be this agent.
func (t *taker) take(ctx context.Context, what uint32, body []byte) ([]byte, error) {
	switch what {
	case giveAudit:
		return t.takeAudit(ctx, body)
	}
	return nil, fmt.Errorf("this agent doesn't know what is given as %d", what)
}

// takePatience bounds the wait for a batch to be stored; the giver has given up by then.
const takePatience = 10 * time.Second

// takeAudit stores a batch of audit lines in a partition of the audit topic that this agent owns.
func (t *taker) takeAudit(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, takePatience)
	defer cancel()
	at, b, err := decodeGiven(body)
	if err != nil {
		return nil, err
	}
	want := t.cfg.Security.AuditTopic
	if topic, ok := t.view.TopicByID(at.Topic); !ok || topic.Name != want {
		return nil, fmt.Errorf("topic %v isn't the security.audit_topic of this agent, which is %q", at.Topic, want)
	}
	p := t.owned.Get(at)
	if p == nil {
		return nil, fmt.Errorf("%v: %w", at, partition.ErrNotOwner)
	}
	return encodeOutcome(appendOne(ctx, p, b))
}

// appended is the outcome of an append.
type appended chan error

func (d appended) Appended(_ int64, err error) { d <- err }

// appendOne appends a batch, and waits until it is committed.
func appendOne(ctx context.Context, p *partition.Partition, records []byte) error {
	b, err := kafka.One(records)
	if err != nil {
		return err
	}
	done := make(appended, 1)
	if err := p.Append(ctx, b, p.Now(), id.NoEpoch, done); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// encodeGiven writes a partition and a batch for it: topic [16]byte, index int32, little-endian,
// the batch.
func encodeGiven(p id.Partition, b kafka.Batch) []byte {
	out := make([]byte, 0, len(p.Topic)+4+len(b))
	out = append(out, p.Topic[:]...)
	out = binary.LittleEndian.AppendUint32(out, uint32(p.Index))
	return append(out, b...)
}

func decodeGiven(body []byte) (p id.Partition, batch []byte, err error) {
	r := wire.NewReader(body)
	copy(p.Topic[:], r.Fixed(len(p.Topic)))
	p.Index = r.I32()
	batch = r.Fixed(r.Len())
	if r.Err() != nil {
		return p, nil, fmt.Errorf("given batch: %w", r.Err())
	}
	return p, batch, nil
}

// The outcomes of giveAudit, a byte. After outcomeRefused there is a text.
const (
	outcomeStored  = 1
	outcomeRefused = 2
)

// encodeOutcome tells the giver whether a batch was stored. An error for which another attempt
// may succeed is returned.
func encodeOutcome(err error) ([]byte, error) {
	switch {
	case err == nil:
		return []byte{outcomeStored}, nil
	case refuses(err):
		return append([]byte{outcomeRefused}, err.Error()...), nil
	}
	return nil, err
}

// refuses reports whether an append failed for what the batch is.
func refuses(err error) bool {
	for _, r := range []error{kafka.ErrTooLarge, kafka.ErrInvalidRecord, kafka.ErrCorrupt, kafka.ErrCodec, partition.ErrTimestamp, partition.ErrTransactional} {
		if errors.Is(err, r) {
			return true
		}
	}
	return false
}

func decodeOutcome(b []byte) error {
	switch {
	case len(b) == 1 && b[0] == outcomeStored:
		return nil
	case len(b) >= 1 && b[0] == outcomeRefused:
		return fmt.Errorf("%w: %s", audit.ErrRefused, b[1:])
	}
	return fmt.Errorf("an outcome of %d bytes that this agent doesn't know", len(b))
}
