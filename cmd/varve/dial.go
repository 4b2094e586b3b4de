package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// promptDialer makes connections on which a broker has to answer the first request, which
// any that works answers at once: one that hangs still takes connections, and would be
// waited for as long as for a request that may take its time. Each time that a broker
// didn't answer in time it gets twice as long: it may only be slow.
type promptDialer struct {
	dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	mu   sync.Mutex
	late map[string]int // by address: how often it didn't answer
}

const (
	firstPatience = time.Second
	mostPatience  = 16 * time.Second
)

func (d *promptDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	patience := d.patience(addr)
	dial, cancel := context.WithTimeout(ctx, max(patience, 3*time.Second))
	defer cancel()
	c, err := d.dialer(dial, network, addr)
	if err != nil {
		return nil, err
	}
	return &promptConn{Conn: c, patience: patience, failed: func() { d.failed(addr) }}, nil
}

func (d *promptDialer) patience(addr string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(firstPatience<<min(d.late[addr], 10), mostPatience)
}

func (d *promptDialer) failed(addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.late == nil {
		d.late = map[string]int{}
	}
	d.late[addr]++
}

// ping asks until a broker answers, or one refuses, or ctx ends: one that is slow gets more
// time than one that may hang.
func ping(ctx context.Context, cl *kgo.Client) error {
	for {
		answer := make(chan error, 1)
		go func() { answer <- cl.Ping(ctx) }() // it doesn't end with ctx while it connects
		var err error
		select {
		case err = <-answer:
		case <-ctx.Done():
			return ctx.Err()
		}
		var late net.Error
		if err == nil || ctx.Err() != nil || !errors.As(err, &late) || !late.Timeout() {
			return err
		}
	}
}

// promptConn bounds the wait for the first byte.
type promptConn struct {
	net.Conn
	patience time.Duration
	failed   func()
	answered atomic.Bool
}

func (c *promptConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered.Store(true)
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() && !c.answered.Load() {
		c.failed()
	}
	return n, err
}

func (c *promptConn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(c.bound(t)) }

func (c *promptConn) SetDeadline(t time.Time) error {
	return errors.Join(c.Conn.SetWriteDeadline(t), c.SetReadDeadline(t))
}

func (c *promptConn) bound(t time.Time) time.Time {
	soon := time.Now().Add(c.patience)
	if !c.answered.Load() && (t.IsZero() || t.After(soon)) {
		return soon
	}
	return t
}
