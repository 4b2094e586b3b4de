package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"varve/health"
	"varve/internal/backoff"
	"varve/internal/chance"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

// places watches whether the bucket and etcd answer, and how far their clocks are from
// this machine's.
type places struct {
	*process

	mu struct {
		sync.Mutex
		works   bool // the bucket did, for this data directory
		bucket  health.Place
		etcd    health.Place
		skew    health.Clocks
		told    map[string]bool // of which clocks it was said that they are off
		nolists bool
		rules   s3store.Rules
	}
}

const (
	probeEvery   = 10 * time.Second
	probeFor     = 5 * time.Second
	probeAgain   = 2 * time.Second // after a failure
	clockEvery   = 30 * time.Second
	bucketMarker = "bucket-works"
)

func newPlaces(of *process) *places {
	p := &places{process: of}
	p.mu.bucket.Name = p.cfg.Store.Place()
	p.mu.bucket.Error = "it has not answered yet"
	p.mu.bucket.Since = p.deps.Now()
	p.mu.etcd.Name = "etcd"
	p.mu.told = map[string]bool{}
	return p
}

// never is why the bucket doesn't work, if it never did for this data directory: such
// an agent may take settings for a bucket that are wrong, and fill its disk.
func (p *places) never() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.works {
		return ""
	}
	return p.mu.bucket.Error
}

func (p *places) bucket() health.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.bucket
}

func (p *places) clocks() health.Clocks {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.skew
}

// etcdAnswered notes what a question to etcd came to.
func (p *places) etcdAnswered(err error) health.Place {
	if errors.Is(err, metadata.ErrNotFound) {
		err = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(&p.mu.etcd, err)
	return p.mu.etcd
}

// note keeps what is wrong with a place, and since when; the lock is held.
func (p *places) note(at *health.Place, err error) {
	switch {
	case err == nil:
		at.Error, at.Since = "", time.Time{}
	case at.Error == "":
		at.Error, at.Since = err.Error(), p.deps.Now()
	default:
		at.Error = err.Error()
	}
}

// remembered reads whether the bucket of these settings ever worked for this directory.
func (p *places) remembered() {
	b, err := vfs.ReadFile(p.deps.FS, p.cfg.DataDir+"/"+bucketMarker, 4<<10)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.works = err == nil && string(b) == p.mu.bucket.Name
}

// worked notes that the bucket does.
func (p *places) worked() {
	p.mu.Lock()
	was, name := p.mu.works, p.mu.bucket.Name
	p.mu.works = true
	p.note(&p.mu.bucket, nil)
	p.mu.Unlock()
	if was {
		return
	}
	if err := vfs.WriteFile(p.deps.FS, p.cfg.DataDir, bucketMarker, []byte(name)); err != nil {
		p.log.Warn("could not record that the bucket works; the next start checks it first", "err", err)
	}
}

// failed notes why the bucket doesn't work, and what to check.
func (p *places) failed(err error) {
	if do := s3store.Advice(err); do != "" {
		err = fmt.Errorf("%w: %s", err, do)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(&p.mu.bucket, err)
}

// watchBucket finds out what the bucket can do, claims it for the cluster, logs it once, and
// from then on asks from time to time whether it answers, until ctx ends.
func (p *places) watchBucket(ctx context.Context, random *chance.Source, claim func(context.Context) error) {
	if !p.probe(ctx, random, claim) {
		return
	}
	for wait := probeEvery; backoff.Sleep(ctx, wait) == nil; {
		err := p.ping(ctx)
		if ctx.Err() != nil {
			return
		}
		if wait = probeEvery; err == nil {
			p.worked()
			continue
		}
		wait = probeAgain
		p.failed(err)
	}
}

// probe asks the bucket until it works; false: ctx ended.
func (p *places) probe(ctx context.Context, random *chance.Source, claim func(context.Context) error) bool {
	probing := backoff.Policy{Base: time.Second, Max: time.Minute}
	for attempt := 0; ; attempt++ {
		report, err := s3store.Probe(ctx, p.deps.Objects, random)
		if err == nil {
			err = claim(ctx)
			if foreign := (*foreignBucket)(nil); errors.As(err, &foreign) {
				p.die(err)
				return false
			}
		}
		if err == nil {
			for _, note := range report.Notes {
				p.log.Info("object store", "note", note)
			}
			p.mu.Lock()
			p.mu.nolists = report.NoList
			p.mu.Unlock()
			p.worked()
			p.readRules(ctx)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		p.failed(err)
		p.log.Warn("bucket unavailable, records stay in the journal", "bucket", p.cfg.Store.Place(), "err", err, "do", s3store.Advice(err))
		if backoff.Sleep(ctx, probing.After(attempt)) != nil {
			return false
		}
	}
}

// readRules finds out what the bucket does to objects by itself, and logs it once.
func (p *places) readRules(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	rules, err := s3store.ReadRules(ctx, p.deps.Objects)
	if err != nil {
		p.log.Debug("the bucket's rules are not known", "err", err)
	}
	p.mu.Lock()
	p.mu.rules = rules
	p.mu.Unlock()
	if text := rules.Danger(); text != "" {
		p.log.Warn("records will be lost", "bucket", p.cfg.Store.Place(), "why", text)
	}
	if text := rules.Cost(); text != "" {
		p.log.Warn("the bucket keeps what was deleted", "bucket", p.cfg.Store.Place(), "why", text)
	}
}

func (p *places) rules() *s3store.Rules {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.mu.rules
	return &r
}

// ping asks the bucket for a listing of nothing: it needs the credentials and the bucket.
func (p *places) ping(ctx context.Context) error {
	p.mu.Lock()
	nolists := p.mu.nolists
	p.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, probeFor, fmt.Errorf("no answer within %v", probeFor))
	defer cancel()
	err := p.deps.Objects.List(ctx, s3store.ProbeFolder, "", func(s3store.Object) bool { return false })
	if nolists && errors.Is(err, s3store.ErrDenied) {
		return nil // as ever
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// watchClocks compares clocks from time to time, until ctx ends.
func (p *places) watchClocks(ctx context.Context) {
	for {
		p.compareEtcd(ctx)
		p.compareBucket()
		if backoff.Sleep(ctx, clockEvery) != nil {
			return
		}
	}
}

// clock is a metadata.Store that can tell its server's time.
type clock interface {
	// Clock returns the server's time, which is read in whole seconds.
	Clock(ctx context.Context) (time.Time, error)
}

func (p *places) compareEtcd(ctx context.Context) {
	c, ok := p.deps.Meta.(clock)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	began := p.deps.Now()
	at, err := c.Clock(ctx)
	if err != nil {
		p.log.Debug("etcd's clock is not known", "err", err)
		return
	}
	now := p.deps.Now()
	p.compared("etcd", s3store.SkewOf(began, now, at))
}

func (p *places) compareBucket() {
	if skew, known := s3store.Skew(p.deps.Objects); known {
		p.compared("bucket", skew)
	}
}

// compared notes how far a clock is ahead of this machine's, and logs when it is too far.
func (p *places) compared(name string, skew time.Duration) {
	ms := skew.Milliseconds()
	p.mu.Lock()
	if name == "etcd" {
		p.mu.skew.EtcdMs = &ms
	} else {
		p.mu.skew.BucketMs = &ms
	}
	off := skew.Abs() >= health.SkewLimit
	news := off != p.mu.told[name]
	p.mu.told[name] = off
	p.mu.Unlock()
	switch {
	case news && off:
		p.log.Warn("clock skew: timestamps, retention and signatures depend on this machine's clock, set it right (NTP)", "other", name, "ahead_by", (-skew).Round(time.Millisecond).String())
	case news:
		p.log.Info("clock skew is over", "other", name)
	}
}
