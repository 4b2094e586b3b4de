package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func readyCommand() *cobra.Command {
	var at httpFlag
	c := &cobra.Command{
		Use:   "ready",
		Short: "Ask an agent whether it serves what it owns",
		Long: `Ask an agent whether it serves what it owns, as its /readyz tells: for containers' health checks, and for
scripts. No user is needed. The exit code is 0 if it does, 1 if it doesn't, and 4 if no agent answers.`,
		Example: "  varve ready\n  varve ready --http https://10.0.0.1:9644 --tls-ca ca.crt",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			said, err := askReady(c.Context(), at.addr)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), said)
			return nil
		},
	}
	at.add(c)
	return c
}

// maxReadyBytes bounds the answer, which has a reason a line.
const maxReadyBytes = 64 << 10

// askReady returns what a ready agent says, and an error if it isn't.
func askReady(ctx context.Context, addr string) (string, error) {
	ctx, cancel := boundRequest(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, httpBase(addr)+"/readyz", nil)
	if err != nil {
		return "", usagef("--http %q: %w", addr, err)
	}
	resp, err := do(req)
	if err != nil {
		return "", webError(addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReadyBytes))
	if err != nil {
		return "", &awayError{addr, err}
	}
	said := strings.TrimSpace(string(body))
	switch {
	case resp.StatusCode == http.StatusOK && strings.HasPrefix(said, "ready"):
		return said, nil
	case resp.StatusCode == http.StatusServiceUnavailable && strings.HasPrefix(said, "not ready"):
		return "", errors.New(said)
	}
	return "", fmt.Errorf("the answer of %s, %s, is not an agent's", addr, resp.Status)
}
