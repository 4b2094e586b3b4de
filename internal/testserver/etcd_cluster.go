package testserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// EtcdCluster is several running etcd servers that keep one history.
type EtcdCluster struct {
	Members []*EtcdServer
	// Endpoints are all members' client URLs.
	Endpoints []string
}

// StartEtcdCluster builds etcd if need be, runs n members with all their files
// under dir, which must exist, and returns when all serve. The caller closes it.
func StartEtcdCluster(ctx context.Context, dir string, n int, opts EtcdOptions, progress io.Writer) (*EtcdCluster, error) {
	binary, err := Build(ctx, EtcdName, progress)
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts(2 * n)
	if err != nil {
		return nil, err
	}
	var initial []string
	for i := range n {
		initial = append(initial, fmt.Sprintf("e%d=http://%s", i, ports[2*i+1].addr()))
	}
	c := &EtcdCluster{}
	for i := range n {
		own := filepath.Join(dir, fmt.Sprintf("e%d", i))
		if err := os.MkdirAll(own, 0o755); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		m := etcdMember(own, binary, fmt.Sprintf("e%d", i), strings.Join(initial, ","), ports[2*i:2*i+2], opts)
		c.Members = append(c.Members, m)
		c.Endpoints = append(c.Endpoints, m.Endpoints...)
	}
	if err := c.each(func(m *EtcdServer) error { return m.Start() }); err != nil { // none is healthy before most run
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// each does the same to all members at once.
func (c *EtcdCluster) each(do func(*EtcdServer) error) error {
	failed := make([]error, len(c.Members))
	var all sync.WaitGroup
	for i, m := range c.Members {
		all.Go(func() { failed[i] = do(m) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// Kill ends all members at once.
func (c *EtcdCluster) Kill() error { return c.each(func(m *EtcdServer) error { return m.Kill() }) }

// Start starts all members again and returns when they serve.
func (c *EtcdCluster) Start() error { return c.each(func(m *EtcdServer) error { return m.Start() }) }

// Close ends all members and frees their ports.
func (c *EtcdCluster) Close() error { return c.each(func(m *EtcdServer) error { return m.Close() }) }

// Leader returns the member that leads.
func (c *EtcdCluster) Leader(ctx context.Context) (*EtcdServer, error) {
	for _, m := range c.Members {
		if m.Pid() == 0 {
			continue
		}
		member, leader, err := m.status(ctx)
		if err != nil {
			return nil, err
		}
		if member == leader {
			return m, nil
		}
	}
	return nil, errors.New("no member of etcd leads")
}

// status asks a member for its own id and that of the leader.
func (s *EtcdServer) status(ctx context.Context) (member, leader string, err error) {
	url := s.Endpoints[0] + "/v3/maintenance/status"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte("{}")))
	if err != nil {
		return "", "", err
	}
	response, err := direct.Do(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	var answer struct {
		Header struct {
			Member string `json:"member_id"`
		} `json:"header"`
		Leader string `json:"leader"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 4<<10)).Decode(&answer); err != nil {
		return "", "", fmt.Errorf("%s answers %s: %w", url, response.Status, err)
	}
	return answer.Header.Member, answer.Leader, nil
}

// Etcds runs a real etcd of n members until the test ends. When the test failed, the
// end of their logs is shown with it.
func Etcds(t testing.TB, n int) *EtcdCluster {
	t.Helper()
	c, err := StartEtcdCluster(t.Context(), t.TempDir(), n, EtcdOptions{}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Members {
		endWithTest(t, m.Process)
	}
	return c
}
