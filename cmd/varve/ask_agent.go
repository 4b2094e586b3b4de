package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswerBytes bounds an agent's answer.
const maxAnswerBytes = 64 << 20

// awayError means that no agent answers.
type awayError struct {
	addr string
	err  error
}

func (e *awayError) Error() string {
	var starting startingError
	if errors.As(e.err, &starting) {
		return fmt.Sprintf("the agent at %s is starting: %s", e.addr, starting.why)
	}
	if errors.Is(e.err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer in time from the agent at %s: does it hang?", e.addr)
	}
	return fmt.Sprintf("no agent answers at %s: %v", e.addr, rootCause(e.err))
}
func (e *awayError) Unwrap() error { return e.err }

// startingError reports that an agent serves nothing yet, and what it waits for.
type startingError struct{ why string }

func (e startingError) Error() string { return "it is starting: " + e.why }

// noPage is what package http answers where there is no page.
const noPage = "404 page not found"

// askAgent asks an agent's admin API and decodes its answer.
func askAgent[A any](ctx context.Context, method, addr, path string) (*A, error) {
	ctx, cancel := boundRequest(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, httpBase(addr)+path, nil)
	if err != nil {
		return nil, usagef("--http %q: %w", addr, err)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json") // no web page can send it unasked
	}
	resp, err := do(req)
	if err != nil {
		return nil, webError(addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, &awayError{addr, err}
	}
	ours := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain")
	said := strings.TrimSpace(string(body[:min(len(body), 4096)]))
	switch {
	case resp.StatusCode == http.StatusBadRequest && strings.Contains(said, "HTTP request to an HTTPS server"):
		return nil, fmt.Errorf("the agent at %s speaks HTTPS: write https:// before its address", addr)
	case (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) && ours:
		return nil, fmt.Errorf("the agent at %s: %s", addr, said)
	case resp.StatusCode == http.StatusNotFound && said == noPage && method == http.MethodPost:
		return nil, fmt.Errorf("the agent at %s doesn't know what this command asks for: it runs an older release, or something else answers there", addr)
	case resp.StatusCode == http.StatusNotFound && ours && method == http.MethodPost:
		return nil, notFoundError{said}
	case resp.StatusCode == http.StatusBadRequest && ours:
		return nil, usagef("%s", said)
	case resp.StatusCode != http.StatusOK && method == http.MethodPost, resp.StatusCode == http.StatusConflict:
		return nil, fmt.Errorf("%s", said)
	}
	var a A
	if why, starting := strings.CutPrefix(said, "not ready:"); starting && ours && resp.StatusCode == http.StatusServiceUnavailable {
		return nil, &awayError{addr, startingError{strings.Join(strings.Fields(why), " ")}}
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", resp.Status)
	} else {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return nil, fmt.Errorf("the answer of %s is not an agent's: %w", addr, err)
	}
	return &a, nil
}
