package metadata_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"varve/metadata"
)

func TestConfigValidate(t *testing.T) {
	if err := metadata.DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, good := range [][]string{
		{"http://10.0.0.1:2379", "http://[::1]:2379"}, {"https://etcd:2379"}, {"unix:///run/etcd.sock"},
	} {
		cfg := metadata.DefaultConfig()
		cfg.Endpoints = good
		if err := cfg.Validate(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// An error names the field, its value, and what is allowed.
func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct {
		change func(*metadata.Config)
		want   []string
	}{
		{func(c *metadata.Config) { c.Endpoints = nil }, []string{"endpoints", "[]"}},
		{func(c *metadata.Config) { c.Endpoints = []string{"etcd:2379"} }, []string{"endpoints", "etcd:2379"}},
		{func(c *metadata.Config) { c.Endpoints = []string{"http://etcd"} }, []string{"endpoints", "http://etcd"}},
		{func(c *metadata.Config) { c.Endpoints = []string{"http://u:p@etcd:1"} }, []string{"endpoints"}},
		{func(c *metadata.Config) { c.Endpoints = []string{"http://a:1", "https://b:1"} }, []string{"endpoints", "https://b:1", "one scheme"}},
		{func(c *metadata.Config) { c.Prefix = "varve/" }, []string{"prefix", `"varve/"`}},
		{func(c *metadata.Config) { c.Prefix = "/varve" }, []string{"prefix", `"/varve"`}},
		{func(c *metadata.Config) { c.Username = "me" }, []string{"username", `"me"`, "without etcd.password", "'varve config' hides"}},
		{func(c *metadata.Config) { c.Password = "secret" }, []string{"username", "with etcd.password"}},
		{func(c *metadata.Config) { c.TLS.CertFile = "c.pem" }, []string{"tls.cert_file", `"c.pem"`}},
		{func(c *metadata.Config) { c.TLS.CAFile = "ca.pem" }, []string{"tls", "https"}},
		{func(c *metadata.Config) { c.DialTimeout = 0 }, []string{"dial_timeout", "0s"}},
		{func(c *metadata.Config) { c.RequestTimeout = time.Hour }, []string{"request_timeout", "1h0m0s"}},
		{func(c *metadata.Config) { c.KeepHistory = time.Second }, []string{"keep_history", "1s"}},
	} {
		cfg := metadata.DefaultConfig()
		c.change(&cfg)
		err := cfg.Validate()
		if err == nil {
			t.Errorf("accepted: %+v", cfg)
			continue
		}
		for _, w := range append(c.want, "allowed is") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v: lacks %q", err, w)
			}
		}
	}
}

func TestWriterConfigRefusals(t *testing.T) {
	for name, change := range map[string]func(*metadata.WriterConfig){
		"max_ops":          func(c *metadata.WriterConfig) { c.MaxOps = metadata.MaxTxnOps + 1 },
		"max_bytes":        func(c *metadata.WriterConfig) { c.MaxBytes = 0 },
		"max_in_flight":    func(c *metadata.WriterConfig) { c.MaxInFlight = 0 },
		"max_queue_groups": func(c *metadata.WriterConfig) { c.MaxQueueGroups = 0 },
		"max_queue_bytes":  func(c *metadata.WriterConfig) { c.MaxQueueBytes = 1 },
	} {
		cfg := metadata.DefaultWriterConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzConfigEndpoint: what Validate accepts is a URL with somewhere to connect to.
func FuzzConfigEndpoint(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:2379", "unix:///a/b", "https://[::1]:1", "://", "http://", "http://a:b@c:1/%zz", "unix://a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cfg := metadata.DefaultConfig()
		cfg.Endpoints = []string{s}
		if cfg.Validate() != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" && u.Path == "" {
			t.Fatalf("%q was accepted: %v", s, err)
		}
	})
}
