package s3store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// metadataService answers as the one of an EC2 instance does, in version 2 only.
type metadataService struct {
	http.Handler
	status atomic.Int64 // of every answer, if it isn't 0
	key    atomic.Value // the role's access key
}

const (
	metadataToken = "a-token"
	roleName      = "varve-agent"
)

func newMetadataService() *metadataService {
	s, mux := &metadataService{}, http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
		fmt.Fprint(w, metadataToken)
	})
	const credentials = "/latest/meta-data/iam/security-credentials/"
	mux.HandleFunc("GET "+credentials, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == credentials {
			fmt.Fprint(w, roleName)
			return
		}
		if r.URL.Path != credentials+roleName {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":%q,"SecretAccessKey":"s","Token":"session","Expiration":%q}`,
			s.key.Load(), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status := int(s.status.Load()); {
		case status != 0:
			w.WriteHeader(status)
		case r.Method == http.MethodGet && r.Header.Get("X-Aws-Ec2-Metadata-Token") != metadataToken:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, r)
		}
	})
	return s
}

// TestRoleOfTheInstance: without keys, driver aws takes those of the instance's role from the metadata service, and new ones when the
// old expire. A metadata service that fails is never taken for an object that doesn't exist.
func TestRoleOfTheInstance(t *testing.T) {
	var signed atomic.Value
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(scope, "/")
		signed.Store(key + " " + r.Header.Get("X-Amz-Security-Token"))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	}))
	defer bucket.Close()
	metadata := newMetadataService()
	instance := httptest.NewServer(metadata)
	defer instance.Close()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_EC2_METADATA_DISABLED", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.URL)

	config := DefaultConfig()
	config.Driver, config.Endpoint, config.Bucket, config.Region, config.PathStyle = DriverAWS, bucket.URL, "bucket", "eu-central-1", true
	store, err := openAWS(t.Context(), config, driverBase{new(serverClock), slog.New(slog.DiscardHandler), time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden, http.StatusServiceUnavailable} {
		metadata.status.Store(int64(status))
		if _, err := store.Head(t.Context(), "x"); !Transient(err) || errors.Is(err, ErrNotFound) {
			t.Errorf("the metadata service answers %d: %v", status, err)
		}
	}
	metadata.status.Store(0)
	metadata.key.Store("first")
	for range 2 { // the first attempt may find out that tokens are wanted again
		if _, err = store.Head(t.Context(), "x"); err == nil || !Transient(err) {
			break
		}
	}
	if err != nil {
		t.Fatalf("the metadata service is well again: %v", err)
	}
	for _, key := range []string{"first", "second"} {
		metadata.key.Store(key)
		store.client.Options().Credentials.(*aws.CredentialsCache).Invalidate() // as when they expire
		if _, err := store.Head(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if got := signed.Load(); got != key+" session" {
			t.Errorf("signed by %q, want the role's %q", got, key)
		}
	}
}
