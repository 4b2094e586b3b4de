package testserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// EtcdOptions change how an etcd runs. The zero value is one plain member.
type EtcdOptions struct {
	// Args are added to the command line, such as "--quota-backend-bytes=...".
	Args []string
}

// EtcdServer is a running etcd: one member, of a cluster of its own or of an EtcdCluster.
type EtcdServer struct {
	*Process
	// Endpoints are the client URLs, "http://127.0.0.1:port".
	Endpoints []string
}

// StartEtcd builds etcd if need be, runs it with all its files under dir, which
// must exist, and returns when it serves. The caller closes it.
func StartEtcd(ctx context.Context, dir string, opts EtcdOptions, progress io.Writer) (*EtcdServer, error) {
	binary, err := Build(ctx, EtcdName, progress)
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts(2)
	if err != nil {
		return nil, err
	}
	server := etcdMember(dir, binary, "test", "test=http://"+ports[1].addr(), ports, opts)
	if err := server.Start(); err != nil {
		server.Close()
		return nil, err
	}
	return server, nil
}

// etcdMember prepares a member that serves clients at the first port and the other
// members, which initial lists with it, at the second.
func etcdMember(dir, binary, name, initial string, ports []port, opts EtcdOptions) *EtcdServer {
	client, peer := "http://"+ports[0].addr(), "http://"+ports[1].addr()
	process := newProcess(dir, EtcdName, binary, ports)
	process.env = environment("ETCD_")
	process.ready = httpOK(client+"/health", `"health":"true"`)
	process.args = append([]string{
		"--name=" + name,
		"--data-dir=" + dir + "/etcd.data",
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + initial,
		"--log-level=warn",
	}, opts.Args...)
	return &EtcdServer{Process: process, Endpoints: []string{client}}
}

// environment is the caller's without the server's own settings, which would
// change what the test means.
func environment(without string, with ...string) []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, without) {
			env = append(env, pair)
		}
	}
	return append(env, with...)
}

// direct never goes through a proxy that the environment names.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// httpOK asks a URL for status 200 and a body that contains a text.
func httpOK(url, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := direct.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			return fmt.Errorf("%s answers %s: %s", url, response.Status, body)
		}
		return nil
	}
}
