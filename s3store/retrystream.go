package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// retryStream is a Get that goes on where it broke. Objects are immutable, so
// the rest of one is the rest of the same.
type retryStream struct {
	*retrying
	ctx      context.Context
	key      string
	off      int64 // of the next byte
	left     int64 // bytes asked for and not yet read; below 0 for all
	body     io.ReadCloser
	started  bool // at least one byte was read
	failures int  // since the last byte that was read
}

func (s *retryStream) open() (err error) {
	s.body, err = s.Store.Get(s.ctx, s.key, s.off, s.left)
	return err
}

// Read returns what came before an error without the error, and meets the
// error's consequences in the next call.
func (s *retryStream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := s.attempt(p)
		if n > 0 {
			s.advance(n)
			if err != nil && !errors.Is(err, io.EOF) {
				s.drop()
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		s.drop()
		if !Transient(err) || s.ctx.Err() != nil {
			return 0, err
		}
		if s.failures++; s.failures >= s.policy.Attempts {
			return 0, fmt.Errorf("%w (after %d attempts)", err, s.failures)
		}
		if s.wait(s.ctx, OpGet, s.key, s.failures-1, err) != nil {
			return 0, err
		}
	}
}

// attempt reads from the stream, which it opens again if it broke.
func (s *retryStream) attempt(p []byte) (int, error) {
	if s.body == nil {
		if s.started && s.left == 0 {
			return 0, io.EOF
		}
		err := s.open()
		if s.started && errors.Is(err, ErrRange) {
			return 0, io.EOF // it broke after the last byte
		}
		if err != nil {
			s.body = nil
			return 0, err
		}
	}
	return s.body.Read(p)
}

func (s *retryStream) advance(n int) {
	s.started = true
	s.failures = 0
	s.off += int64(n)
	if s.left > 0 {
		s.left -= int64(n)
	}
}

func (s *retryStream) drop() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}

func (s *retryStream) Close() error {
	s.drop()
	return nil
}
