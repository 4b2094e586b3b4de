package s3store_test

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/testserver"
	"varve/s3store"
	"varve/s3store/storetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// bigBytes is two parts and a bit at the smallest part size.
const bigBytes = 11<<20 + 12345

func open(t *testing.T, config s3store.Config) s3store.Store {
	t.Helper()
	store, err := s3store.Open(t.Context(), config, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// s3Config points a driver at a server's bucket of its own.
func s3Config(t testing.TB, server *testserver.MinIOServer, driver, bucket string) s3store.Config {
	t.Helper()
	if err := server.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	config := s3store.DefaultConfig()
	config.Driver = driver
	config.Endpoint = server.Endpoint
	config.Region = testserver.MinIORegion
	config.PathStyle = true
	config.Bucket = bucket
	config.AccessKey = server.AccessKey
	config.SecretKey = server.SecretKey
	config.PartSizeBytes = 5 << 20
	config.RequestTimeout = time.Minute
	return config
}

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, bigBytes, func(*testing.T) s3store.Store { return s3store.NewMemory() })
}

func TestDirConforms(t *testing.T) {
	storetest.Run(t, bigBytes, func(t *testing.T) s3store.Store {
		config := s3store.DefaultConfig()
		config.Driver, config.Directory = s3store.DriverDir, t.TempDir()
		return open(t, config)
	})
}

// TestS3DriversConform runs every S3 driver against a real server, and the
// settings that change how objects are written.
func TestS3DriversConform(t *testing.T) {
	server := testserver.MinIO(t)
	var buckets atomic.Int32
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		opener := func(change func(*s3store.Config)) func(t *testing.T) s3store.Store {
			return func(t *testing.T) s3store.Store {
				config := s3Config(t, server, driver, fmt.Sprintf("bucket-%d", buckets.Add(1)))
				change(&config)
				return open(t, config)
			}
		}
		t.Run(driver, func(t *testing.T) {
			storetest.Run(t, bigBytes, opener(func(c *s3store.Config) { c.Prefix = "some/cluster" }))
		})
		for name, change := range map[string]func(*s3store.Config){
			"plain":        func(*s3store.Config) {},
			"no checksums": func(c *s3store.Config) { c.DisableChecksums = true },
			"sse-s3":       func(c *s3store.Config) { c.SSE = s3store.SSES3 },
			"sse-kms":      func(c *s3store.Config) { c.SSE, c.SSEKMSKeyID = s3store.SSEKMS, "varve-test-key" },
		} {
			t.Run(driver+" "+name, func(t *testing.T) { storetest.RunObjects(t, bigBytes, opener(change)) })
		}
	}
}

// TestDecoratorsConform: all of them over memory still keep every promise.
func TestDecoratorsConform(t *testing.T) {
	storetest.Run(t, bigBytes, func(t *testing.T) s3store.Store {
		store := s3store.WithFaults(s3store.NewMemory(), func(s3store.Call) s3store.Fault { return s3store.Fault{} })
		store = s3store.WithDeadline(store, time.Minute, time.Minute)
		return s3store.Adapt(s3store.WithRetry(store, s3store.DefaultRetryPolicy(), quiet))
	})
}
