package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/audit"
	"varve/internal/id"
	"varve/kafka"
	"varve/partition"
)

// auditLine is what the tests read of a line.
type auditLine struct {
	Time        time.Time
	Level       string
	Msg         string
	Part, Topic string
	Client      struct{ Principal, Addr string }
}

// auditLines reads the topic until enough says so.
func (r *running) auditLines(topic string, enough func([]auditLine) bool) (all []auditLine) {
	r.t.Helper()
	cl := r.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for !enough(all) {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("%d lines: %+v", len(all), all)
		}
		fs.EachRecord(func(rec *kgo.Record) {
			var l auditLine
			if err := json.Unmarshal(rec.Value, &l); err != nil || l.Part != "audit" || l.Time.UnixMilli()-rec.Timestamp.UnixMilli() > 1000 || string(rec.Key) != "1" {
				r.t.Errorf("record %q: %q at %v: %v", rec.Key, rec.Value, rec.Timestamp, err)
			}
			all = append(all, l)
		})
	}
	return all
}

// has reports whether there is a line about a topic.
func has(msg, topic string) func([]auditLine) bool {
	return func(all []auditLine) bool {
		for _, l := range all {
			if l.Msg == msg && l.Topic == topic {
				return true
			}
		}
		return false
	}
}

// TestAuditTopic: the audit log is in its topic whatever the log's level is. The topic is made when
// it is missing, once, and a stop writes the last lines before it ends.
func TestAuditTopic(t *testing.T) {
	w := newWorld(t) // its agents log warnings
	w.change = func(c *Config) { c.Security.AuditTopic = "audit" }
	a := w.start()
	admin := kadm.NewClient(a.client())
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "one"); err != nil {
		t.Fatal(err)
	}
	all := a.auditLines("audit", func(all []auditLine) bool {
		return has("topic created", "one")(all) && has("topic created automatically", "audit")(all)
	})
	if l := all[0]; l.Msg != "topic created" || l.Level != "INFO" || l.Client.Principal != "User:ANONYMOUS" || l.Client.Addr == "" {
		t.Errorf("%+v", l)
	}
	if n := len(all); n != 2 {
		t.Errorf("%d lines: %+v", n, all)
	}
	before, _ := a.view.Topic("audit")
	if _, err := admin.DeleteTopic(t.Context(), "audit"); err != nil {
		t.Fatal(err)
	}
	a.auditLines("audit", has("topic deleted", "audit"))
	if now, ok := a.view.Topic("audit"); !ok || now.ID == before.ID {
		t.Errorf("the topic is %+v", now)
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "last"); err != nil {
		t.Fatal(err)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	w.change = nil
	a = w.start()
	a.auditLines("audit", has("topic created", "last"))
	if all := a.auditLines("audit", has("topic deleted", "audit")); all[0].Msg != "topic deleted" {
		t.Errorf("%+v", all)
	}
}

// TestNoAuditTopic: without the setting there is no topic.
func TestNoAuditTopic(t *testing.T) {
	a := newWorld(t).start()
	if _, err := kadm.NewClient(a.client()).CreateTopic(t.Context(), 1, 1, nil, "one"); err != nil {
		t.Fatal(err)
	}
	if all := a.view.Topics(); len(all) != 1 {
		t.Errorf("%d topics", len(all))
	}
	if _, err := a.takes().take(t.Context(), giveAudit, encodeGiven(id.Partition{Topic: all(a)["one"]}, oneLine(t))); err == nil {
		t.Error("a batch was taken")
	}
}

func (r *running) takes() *taker { return &taker{r.process, r.view, r.owned} }

// all returns the ids of topics.
func all(a *running) map[string]id.Topic {
	ids := map[string]id.Topic{}
	for _, t := range a.view.Topics() {
		ids[t.Name] = t.ID
	}
	return ids
}

func oneLine(t *testing.T) kafka.Batch {
	t.Helper()
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: time.Now().UnixMilli(), Value: []byte("line")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOnlyAuditLinesAreTaken: a batch is taken for a partition of the audit topic that this agent owns,
// and nothing else is.
func TestOnlyAuditLinesAreTaken(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.Security.AuditTopic = "audit" }
	a := w.start()
	admin := kadm.NewClient(a.client())
	if _, err := admin.CreateTopics(t.Context(), 1, 1, nil, "one", "small"); err != nil {
		t.Fatal(err)
	}
	a.auditLines("audit", has("topic created", "small"))
	of := func(name string, index int32) id.Partition { return id.Partition{Topic: all(a)[name], Index: index} }
	control, err := kafka.Build(kafka.None, []kafka.NewRecord{{Key: []byte{0, 0, 0, 0}, Value: []byte{0, 0, 0, 0, 0, 0}}}, func(b kafka.Batch) { b[22] |= 0x30 })
	if err != nil {
		t.Fatal(err)
	}
	torn := encodeGiven(of("audit", 0), oneLine(t))
	torn[len(torn)-1]++
	twice := append(encodeGiven(of("audit", 0), oneLine(t)), oneLine(t)...)
	for what, c := range map[string]struct {
		is      uint32
		body    []byte
		refused bool // for ever
	}{
		"another topic":       {giveAudit, encodeGiven(of("one", 0), oneLine(t)), false},
		"no topic":            {giveAudit, encodeGiven(of("none", 0), oneLine(t)), false},
		"no partition":        {giveAudit, encodeGiven(of("audit", 1), oneLine(t)), false},
		"a negative one":      {giveAudit, encodeGiven(of("audit", -1), oneLine(t)), false},
		"another kind":        {giveAudit + 1, encodeGiven(of("audit", 0), oneLine(t)), false},
		"nothing":             {giveAudit, nil, false},
		"half a partition":    {giveAudit, make([]byte, 18), false},
		"no batch":            {giveAudit, encodeGiven(of("audit", 0), nil), true},
		"a batch that is cut": {giveAudit, encodeGiven(of("audit", 0), oneLine(t)[:30]), true},
		"a changed one":       {giveAudit, torn, true},
		"two batches":         {giveAudit, twice, true},
		"a control batch":     {giveAudit, encodeGiven(of("audit", 0), control), true},
	} {
		end := a.owned.Get(of("audit", 0)).State().End
		answer, err := a.takes().take(t.Context(), c.is, c.body)
		if c.refused {
			if err == nil {
				err = decodeOutcome(answer)
			}
			if !errors.Is(err, audit.ErrRefused) {
				t.Errorf("%s: %v", what, err)
			}
		} else if err == nil {
			t.Errorf("%s: %q", what, answer)
		}
		if now := a.owned.Get(of("audit", 0)).State().End; now != end {
			t.Errorf("%s: was stored", what)
		}
	}
	answer, err := a.takes().take(t.Context(), giveAudit, encodeGiven(of("audit", 0), oneLine(t)))
	if err == nil {
		err = decodeOutcome(answer)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestOutcomes: what an agent answers is what the giver reads.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct{ err, refused error }{
		{nil, nil}, {kafka.ErrTooLarge, audit.ErrRefused}, {partition.ErrTimestamp, audit.ErrRefused}, {kafka.ErrInvalidRecord, audit.ErrRefused},
		{partition.ErrNotOwner, nil}, {context.DeadlineExceeded, nil},
	} {
		b, err := encodeOutcome(c.err)
		if err == nil {
			err = decodeOutcome(b)
		}
		if (err == nil) != (c.err == nil) || errors.Is(err, audit.ErrRefused) != (c.refused != nil) {
			t.Errorf("%v became %v", c.err, err)
		}
	}
	for _, b := range [][]byte{nil, {}, {0}, {outcomeStored, 1}, {9}} {
		if err := decodeOutcome(b); err == nil || errors.Is(err, audit.ErrRefused) {
			t.Errorf("%v: %v", b, err)
		}
	}
}

func TestAuditTopicNames(t *testing.T) {
	for name, good := range map[string]bool{"": true, "audit": true, "a.b_c-1": true, "a b": false, "..": false, "__consumer_offsets": false, strings.Repeat("a", 250): false} {
		c := DefaultConfig()
		c.Security.AuditTopic = name
		if err := c.Validate(); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "security.audit_topic is") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestAuditLogIsComplete: the log has the lines, too.
func TestAuditLogIsComplete(t *testing.T) {
	var logged bytes.Buffer
	cfg := DefaultConfig()
	cfg.Security.AuditTopic = "audit"
	p := newProcess(cfg, Deps{Log: slog.New(slog.NewTextHandler(&logged, nil)), Registry: prometheus.NewRegistry()})
	p.audit().Info("topic created", "topic", "t")
	if !strings.Contains(logged.String(), `msg="topic created" part=audit topic=t`) {
		t.Errorf("%s", &logged)
	}
}
