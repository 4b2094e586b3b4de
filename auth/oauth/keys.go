package oauth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/backoff"
	"varve/internal/chance"
	"varve/internal/vfs"
)

// Deps is what a Validator needs.
type Deps struct {
	FS       vfs.FS
	Now      func() time.Time // nil is time.Now
	Random   *chance.Source   // of waits between tries; nil is the system's
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Open makes a validator, which has no keys from a URL until Run reads them. Files that can't
// be used are errors.
func Open(cfg Config, deps Deps) (*Validator, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	k := &keys{log: deps.Log, now: deps.Now, random: deps.Random, missing: make(chan struct{}, 1), metrics: newMetrics()}
	k.mu.next, k.mu.err = make(chan struct{}), errors.New("the first try is not over")
	if cfg.JWKSFile != "" {
		k.source = fileSource{deps.FS, cfg.JWKSFile}
		if err := k.refresh(context.Background()); err != nil {
			return nil, err
		}
	} else {
		from := urlSource{deps.FS, &cfg}
		if _, err := from.authorities(); err != nil {
			return nil, err
		}
		k.source = from
	}
	v := &Validator{cfg, deps.Now, k}
	if deps.Registry == nil {
		return v, nil
	}
	return v, errors.Join(deps.Registry.Register(k.metrics.refreshes), deps.Registry.Register(k))
}

// CheckFiles reads the files that the settings name.
func (c *Config) CheckFiles(fs vfs.FS) error {
	if !c.On() || c.Validate() != nil {
		return nil
	}
	_, err := Open(*c, Deps{FS: fs, Log: slog.New(slog.DiscardHandler)})
	return err
}

// Run reads the keys, again and again, until ctx ends.
func (v *Validator) Run(ctx context.Context) { v.keys.run(ctx) }

// keys are those of the JWKS that was read last.
type keys struct {
	source  source
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	missing chan struct{} // has one in it while a token waits for a key
	random  *chance.Source
	content []byte // that the keys are of; the goroutine of run has it
	failing string // what is logged of the last failure, "" after a success; the same

	mu struct {
		sync.Mutex
		set  *keySet       // nil: nothing was read yet
		read time.Time     // when it was read last
		err  error         // of the last try
		next chan struct{} // closed when the next try is over
	}
}

// run reads the keys until ctx ends.
func (k *keys) run(ctx context.Context) {
	usual, most := k.source.every()
	failures := 0
	for ctx.Err() == nil {
		wait := usual - most
		if k.refresh(ctx) == nil {
			failures = 0
		} else {
			wait = k.random.Spread(retries.After(failures))
			failures++
		}
		// Tokens with unknown keys can't make it read more often than that.
		if backoff.Sleep(ctx, most) == nil {
			k.pause(ctx, wait)
		}
	}
}

// retries is how long to wait after a failure, besides what is waited at any rate.
var retries = backoff.Policy{Base: time.Second, Max: 30 * time.Second}

// pause waits until a key is missing, but at most for so long.
func (k *keys) pause(ctx context.Context, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-t.C:
	case <-k.missing:
	case <-ctx.Done():
	}
}

// refresh reads the keys once. After an error those from before stay.
func (k *keys) refresh(ctx context.Context) error {
	b, err := k.source.read(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var set *keySet
	changed := err == nil && !bytes.Equal(b, k.content)
	if changed {
		set, err = parseJWKS(b)
	}
	if err == nil && changed {
		k.content = b
	}
	k.note(set, err)
	k.report(set, err)
	return err
}

// note takes the result of a try. A nil set is the one from before.
func (k *keys) note(set *keySet, err error) {
	k.metrics.count(err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.err = err
	if err == nil {
		k.mu.read = k.now()
		if set != nil {
			k.mu.set = set
		}
	}
	close(k.mu.next)
	k.mu.next = make(chan struct{})
}

// report logs the result of a try, unless it is that of the one before.
func (k *keys) report(set *keySet, err error) {
	switch {
	case err != nil && err.Error() != k.failing:
		k.failing = err.Error()
		if current, _ := k.current(); current == nil {
			k.log.Warn("JWKS not read: tokens can't be checked until it is", "err", err)
		} else {
			k.log.Warn("JWKS not read: the keys from before stay in use", "err", err)
		}
	case err == nil && (set != nil || k.failing != ""):
		k.failing = ""
		current, _ := k.current()
		k.log.Info("JWKS read", "keys", len(current.keys), "changed", set != nil)
	}
}

// current returns the keys, nil if none have been read, and what is closed when the next try to
// read them is over.
func (k *keys) current() (*keySet, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.set, k.mu.next
}

// failure returns why the last try failed.
func (k *keys) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.err
}

// await has the keys read soon, because one is missing, and waits until they are.
func (k *keys) await(ctx context.Context, next <-chan struct{}) error {
	select {
	case k.missing <- struct{}{}:
	default:
	}
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
