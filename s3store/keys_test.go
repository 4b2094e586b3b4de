package s3store

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestKeysAreReplaced: credentials whose files change are used by both drivers without opening the store
// again, once both files were read as they are twice. Files that can't be used change nothing.
func TestKeysAreReplaced(t *testing.T) {
	var signed atomic.Pointer[string] // the access key and the session token of the last request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(scope, "/")
		key += " " + r.Header.Get("X-Amz-Security-Token")
		signed.Store(&key)
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"e"`)
		fmt.Fprint(w, "data")
	}))
	defer server.Close()
	for _, driver := range []string{DriverMinIO, DriverAWS} {
		t.Run(driver, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, content string, mode os.FileMode) string {
				t.Helper()
				path := filepath.Join(dir, name)
				_ = os.Remove(path)
				if err := os.WriteFile(path, []byte(content), mode); err != nil {
					t.Fatal(err)
				}
				return path
			}
			config := DefaultConfig()
			config.Driver, config.Endpoint, config.Bucket, config.Region, config.PathStyle = driver, server.URL, "bucket", "us-east-1", true
			config.AccessKey, config.SecretKey, config.SessionToken = "first", "topsecret", "t1"
			config.AccessKeyFile, config.SecretKeyFile, config.SessionTokenFile = write("access", "first\n", 0o600), write("secret", "topsecret\n", 0o600), write("token", "t1\n", 0o600)
			var logged bytes.Buffer
			now := time.Now()
			base := driverBase{new(serverClock), slog.New(slog.NewTextHandler(&logged, nil)), func() time.Time { return now }}
			var store Store
			var err error
			if driver == DriverAWS {
				store, err = openAWS(t.Context(), config, base)
			} else {
				store, err = openMinIO(config, base)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			look := func(want string) {
				t.Helper()
				now = now.Add(lookAtKeys)
				if s, ok := store.(*awsStore); ok { // which keeps them by its own clock
					s.client.Options().Credentials.(*aws.CredentialsCache).Invalidate()
				}
				if _, err := store.Head(t.Context(), "x"); err != nil {
					t.Fatal(err)
				}
				if got := *signed.Load(); got != want {
					t.Fatalf("signed by %q, want %q", got, want)
				}
			}
			if _, err := store.Head(t.Context(), "x"); err != nil || *signed.Load() != "first t1" {
				t.Fatalf("%v, signed by %q", err, *signed.Load())
			}
			look("first t1")
			write("access", "second", 0o600)
			look("first t1") // it may be half of a pair
			write("secret", "othersecret", 0o600)
			write("token", "t2", 0o600)
			look("first t1")
			look("second t2")
			write("access", "third", 0o644)
			look("second t2")
			look("second t2")
			if n := strings.Count(logged.String(), "level=ERROR"); n != 1 || !strings.Contains(logged.String(), "others can read") {
				t.Errorf("%d errors in the log:\n%s", n, logged.String())
			}
			if err := os.Remove(config.SecretKeyFile); err != nil {
				t.Fatal(err)
			}
			look("second t2")
			write("access", "third", 0o600)
			write("secret", "thirdsecret", 0o600)
			look("second t2")
			look("third t2")
			for _, secret := range []string{"topsecret", "othersecret", "thirdsecret"} {
				if strings.Contains(logged.String(), secret) {
					t.Errorf("the log has %s:\n%s", secret, logged.String())
				}
			}
		})
	}
}

// TestKeysWithoutFiles: credentials that are settings have no files to look at.
func TestKeysWithoutFiles(t *testing.T) {
	if keysOf(goodConfig(), driverBase{now: time.Now}) != nil {
		t.Error("there are none")
	}
}

// TestKeysFromPipes: a pipe in the place of a file, or a file system that hangs, holds up no requests.
func TestKeysFromPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	config := goodConfig()
	config.AccessKeyFile = pipe
	now := time.Now()
	f := keysOf(config, driverBase{log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }})
	now = now.Add(lookAtKeys)
	if got := f.get(); got.access != config.AccessKey {
		t.Errorf("%+v", got)
	}
	now = now.Add(lookAtKeys)
	if _, due := f.due(); !due {
		t.Fatal("the file isn't due")
	}
	if got := f.get(); got.access != config.AccessKey { // while another one looks
		t.Errorf("%+v", got)
	}
}
