package bench

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/xdg-go/scram"
)

// Logins measures how many logins a second a broker takes: each of Connections clients connects,
// authenticates and closes the connection, again and again. Records are logins.
func Logins(ctx context.Context, c Config) (*Result, error) {
	if c.SASL == nil {
		return nil, errors.New("there is nobody to log in: a user and a password are needed")
	}
	var latency histogram
	var failed failures
	var logins atomic.Int64
	r := &Result{Mode: "login"}
	err := meteredRun(&c, r, func() (int64, int64, error) {
		until, cancel := context.WithTimeout(ctx, c.Duration)
		defer cancel()
		var wg sync.WaitGroup
		for i := range c.Connections {
			addr := c.Brokers[i%len(c.Brokers)]
			wg.Go(func() {
				for until.Err() == nil {
					began := time.Now()
					one, end := context.WithTimeout(ctx, answerWait)
					_, release, err := c.dial(one, addr)
					end()
					if err != nil {
						failed.add(err)
						continue
					}
					release()
					latency.add(time.Since(began))
					logins.Add(1)
					c.Meter.add(0, 1)
				}
			})
		}
		wg.Wait()
		return 0, logins.Load(), nil
	})
	if err != nil {
		return nil, err
	}
	r.Latency = latency.latency()
	failed.fill(r)
	return r, nil
}

// KeepKeys returns a mechanism of SCRAM for Logins that computes the keys of a password once, not at each
// login, which would cost the client more than the broker. It returns nil for other mechanisms.
func KeepKeys(mechanism, user, password string) (sasl.Mechanism, error) {
	var f scram.HashGeneratorFcn
	switch mechanism {
	case "SCRAM-SHA-256":
		f = func() hash.Hash { return sha256.New() }
	case "SCRAM-SHA-512":
		f = func() hash.Hash { return sha512.New() }
	default:
		return nil, nil
	}
	client, err := f.NewClient(user, password, "")
	if err != nil {
		return nil, err
	}
	return &keptKeys{mechanism, client}, nil
}

type keptKeys struct {
	name   string
	client *scram.Client
}

func (k *keptKeys) Name() string { return k.name }

func (k *keptKeys) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	talk := k.client.NewConversation()
	first, err := talk.Step("")
	return keptSession{talk}, []byte(first), err
}

type keptSession struct{ talk *scram.ClientConversation }

func (s keptSession) Challenge(challenge []byte) (done bool, answer []byte, err error) {
	text, err := s.talk.Step(string(challenge))
	return s.talk.Done(), []byte(text), err
}
