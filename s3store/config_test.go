package s3store

import (
	"fmt"
	"strings"
	"testing"
)

func goodConfig() Config {
	c := DefaultConfig()
	c.Driver, c.Bucket, c.Endpoint = DriverMinIO, "b", "https://host:9000"
	c.AccessKey, c.SecretKey = "topsecret-id", "topsecret-key"
	return c
}

func TestValidateNamesFieldValueAndWhatIsAllowed(t *testing.T) {
	if err := goodConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		`driver: "ftp" is not allowed: one of aws, minio, dir, memory`: func(c *Config) { c.Driver = "ftp" },
		`directory: "" is not allowed`:                                 func(c *Config) { c.Driver = DriverDir },
		`bucket: "" is not allowed`:                                    func(c *Config) { c.Bucket = "" },
		`endpoint: "" is not allowed`:                                  func(c *Config) { c.Endpoint = "" },
		`endpoint: "host:9000" is not allowed: must be a URL such as`:  func(c *Config) { c.Endpoint = "host:9000" },
		`endpoint: "http://h/path" is not allowed`:                     func(c *Config) { c.Endpoint = "http://h/path" },
		`prefix: "a//b" is not allowed`:                                func(c *Config) { c.Prefix = "a//b" },
		`prefix: "../x" is not allowed`:                                func(c *Config) { c.Prefix = "../x" },
		`access_key: "(hidden)" is not allowed`:                        func(c *Config) { c.SecretKey = "" },
		`session_token: "(hidden)" is not allowed`:                     func(c *Config) { c.AccessKey, c.SecretKey, c.SessionToken = "", "", "topsecret" },
		`sse: "rot13" is not allowed: one of none, AES256, aws:kms`:    func(c *Config) { c.SSE = "rot13" },
		`sse_kms_key_id: "k" is not allowed`:                           func(c *Config) { c.SSEKMSKeyID = "k" },
		`part_size_bytes: 1 is not allowed: 5242880 to 5368709120`:     func(c *Config) { c.PartSizeBytes = 1 },
		`upload_concurrency: 0 is not allowed: 1 to 64`:                func(c *Config) { c.UploadConcurrency = 0 },
		`max_connections: -1 is not allowed`:                           func(c *Config) { c.MaxConnections = -1 },
		`request_timeout: "0s" is not allowed`:                         func(c *Config) { c.RequestTimeout = 0 },
		`stall_timeout: "-1ns" is not allowed`:                         func(c *Config) { c.StallTimeout = -1 },
		`retry.attempts: 0 is not allowed`:                             func(c *Config) { c.Retry.Attempts = 0 },
		`retry.base: "0s" is not allowed`:                              func(c *Config) { c.Retry.Base = 0 },
	} {
		c := goodConfig()
		spoil(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if strings.Contains(fmt.Sprint(err), "topsecret") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestLogHidesSecrets(t *testing.T) {
	if text := goodConfig().LogValue().String(); strings.Contains(text, "topsecret") || !strings.Contains(text, "host:9000") {
		t.Fatalf("logged as %s", text)
	}
}

func TestPartsAreAtMostTenThousand(t *testing.T) {
	c := DefaultConfig()
	for _, size := range []int64{0, 1, 16 << 20, 160_000 << 20, 5 << 40} {
		part := c.partSize(size)
		if part < c.PartSizeBytes || (size+part-1)/part > maxParts {
			t.Errorf("size %d: parts of %d", size, part)
		}
	}
}
