// Package doctor examines the host of an agent and what the agent depends on, before or while
// it runs, and says what to do about what it finds.
//
// It promises to leave nothing behind and to change nothing: it writes a temporary file in
// the data directory, a temporary key in etcd and temporary objects in the bucket, and removes
// them. Every check is bounded in time, and none depends on another's success.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"varve/internal/chance"
	"varve/internal/hostmem"
	"varve/internal/id"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

// Level is how bad a finding is.
type Level int

// The levels.
const (
	OK Level = iota
	Warning
	Failure // the agent won't start, or won't do its work
)

var levelNames = [...]string{"ok", "warning", "failure"}

func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("level %d", int(l))
	}
	return levelNames[l]
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads it.
func (l *Level) UnmarshalText(b []byte) error {
	for i, name := range levelNames {
		if name == string(b) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("level %q is none of %v", b, levelNames)
}

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// Report is all that was found.
type Report struct {
	Broker   int32     `json:"broker"`
	Version  string    `json:"version"` // of this program
	Level    Level     `json:"level"`   // the worst of the findings
	Findings []Finding `json:"findings"`
}

// Add adds findings.
func (r *Report) Add(all ...Finding) {
	for _, f := range all {
		r.Level = max(r.Level, f.Level)
		r.Findings = append(r.Findings, f)
	}
}

// Subject is the agent whose host and dependencies are examined.
type Subject struct {
	Broker     id.Broker
	Version    string // of this program
	DataDir    string
	JournalDir string
	Direct     bool  // the journal is written with O_DIRECT
	NeedBytes  int64 // what the agent's files may come to
	LeastBytes int64 // less free space than this takes no records
	Memory     int64 // what the agent may take
	Files      int   // how many files it may want to have open
	Etcd       metadata.Config
	Store      s3store.Config
	Peer       string // host:port that the other agents get; "" is none

	Certificates []Certificate
	Addresses    []Address

	FS     vfs.FS
	Host   hostmem.State
	Dial   func(ctx context.Context, addr string) (net.Conn, error) // to other agents, with TLS if they have it
	Web    *http.Client                                             // asks other agents for the time
	Random *chance.Source
	Log    *slog.Logger
	Now    func() time.Time
}

// Certificate is one that the agent shows.
type Certificate struct {
	Name  string // what it is for, such as "listener SSL"
	Host  string // at which it is reached; "" if that isn't known
	Files tlsfile.ServerFiles
}

// Address is one that others are told.
type Address struct {
	Name string // the setting
	Addr string // host:port
}

// check is one part of the examination.
type check struct {
	name string
	run  func(ctx context.Context, x *examination) []Finding
}

var checks = []check{
	{"clock", clock},
	{"disk", disk},
	{"files", files},
	{"memory", memory},
	{"addresses", addresses},
	{"certificates", certificates},
	{"etcd", etcd},
	{"bucket", bucket},
	{"network", network},
	{"versions", versions},
}

// examination is what the checks of one run share.
type examination struct {
	*Subject
	etcd    future[*etcdFacts]
	bucket  future[*bucketFacts]
	cluster future[*clusterFacts]
}

// future is a result that several checks need; the first one to ask computes it.
type future[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// start computes the value. It is called once.
func (f *future[T]) start(compute func() (T, error)) {
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		f.value, f.err = compute()
	}()
}

// get waits for the value.
func (f *future[T]) get(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

// leastDial is the least that etcd's settings allow.
const leastDial = 10 * time.Millisecond

// reportWithin is how much longer than its time a check may take to say what it found.
const reportWithin = 2 * time.Second

// Examine runs all checks side by side, each for at most patience, and returns what they found in
// the order of the checks. A check that hangs is given up and reported.
func Examine(ctx context.Context, s *Subject, patience time.Duration) *Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own := *s
	own.Etcd.DialTimeout = max(min(own.Etcd.DialTimeout, patience/4), leastDial) // its reason is wanted, within patience
	x := &examination{Subject: &own}
	x.etcd.start(func() (*etcdFacts, error) { return x.askEtcd(ctx) })
	x.bucket.start(func() (*bucketFacts, error) { return x.askBucket(ctx) })
	x.cluster.start(func() (*clusterFacts, error) { return x.askCluster(ctx) })
	answers := make([]chan []Finding, len(checks))
	for i, c := range checks {
		answers[i] = make(chan []Finding, 1)
		go func() { answers[i] <- c.run(ctx, x) }()
	}
	late := time.NewTimer(patience + reportWithin)
	defer late.Stop()
	over := make(chan struct{})
	go func() {
		<-late.C
		close(over)
	}()
	r := &Report{Broker: int32(s.Broker), Version: s.Version, Findings: []Finding{}}
	for i, c := range checks {
		select {
		case found := <-answers[i]:
			r.Add(found...)
		case <-over:
			r.Add(failure(c.name, "find out what hangs: a disk or a network file system that doesn't answer is likely", "this check did not end within %v", patience+reportWithin))
		}
	}
	return r
}

func ok(check, format string, args ...any) Finding {
	return Finding{check, OK, fmt.Sprintf(format, args...), ""}
}

func warning(check, do, format string, args ...any) Finding {
	return Finding{check, Warning, fmt.Sprintf(format, args...), do}
}

func failure(check, do, format string, args ...any) Finding {
	return Finding{check, Failure, fmt.Sprintf(format, args...), do}
}

// cleanWithin bounds the removal of what was written.
const cleanWithin = 5 * time.Second

// cleaning is the context of removals, which are made even if the time is over.
func cleaning(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanWithin)
}

// word makes one line of an error.
func word(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
