package s3store_test

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"varve/internal/testserver"
	"varve/s3store"
)

// TestRulesOfMinIO: both drivers read a real server's versioning and lifecycle rules.
func TestRulesOfMinIO(t *testing.T) {
	t.Parallel()
	server := testserver.MinIO(t)
	at, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := minio.New(at.Host, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{"plain", "ruled"} {
		if err := server.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.EnableVersioning(t.Context(), "ruled"); err != nil {
		t.Fatal(err)
	}
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{{ID: "old", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "v/data/"}, Expiration: lifecycle.Expiration{Days: 30}}}
	if err := admin.SetBucketLifecycle(t.Context(), "ruled", rules); err != nil {
		t.Fatal(err)
	}
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		for _, bucket := range []string{"plain", "ruled"} {
			config := s3Config(t, server, driver, bucket)
			config.Prefix = "v/"
			store, err := s3store.Open(t.Context(), config, slog.New(slog.DiscardHandler), nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s3store.ReadRules(t.Context(), store)
			if ruled := bucket == "ruled"; err != nil || ruled != r.Versioned || r.Locked || ruled != strings.Contains(r.Danger(), "old") || ruled != strings.Contains(r.Cost(), "for ever") {
				t.Errorf("%s, %s: %+v, %v", driver, bucket, r, err)
			}
			_ = store.Close()
		}
	}
}
