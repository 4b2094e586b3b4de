package s3store_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"varve/internal/testserver"
	"varve/s3store"
)

// between is a proxy in front of a real server. Its hook sees each request and
// may answer it, or change it and let it pass.
func between(t *testing.T, server *testserver.MinIOServer, hook func(http.ResponseWriter, *http.Request) (answered bool)) (endpoint string) {
	t.Helper()
	forward := forwardTo(t, server)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// forwardTo passes requests on as they are.
func forwardTo(t *testing.T, server *testserver.MinIOServer) http.Handler {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// refuse answers as an S3 server that fails.
func refuse(w http.ResponseWriter, status int, code string) bool {
	w.WriteHeader(status)
	io.WriteString(w, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>as the test wants it</Message></Error>`)
	return true
}

// once makes a config whose store tries everything once.
func once(c s3store.Config) s3store.Config {
	c.Retry.Attempts = 1
	return c
}

func TestS3Drivers(t *testing.T) {
	server := testserver.MinIO(t)
	for _, driver := range []string{s3store.DriverAWS, s3store.DriverMinIO} {
		config := s3Config(t, server, driver, "bucket-"+driver)
		t.Run(driver, func(t *testing.T) {
			t.Run("operator's mistakes", func(t *testing.T) { operatorsMistakes(t, config) })
			t.Run("failed upload is aborted", func(t *testing.T) { failedUploadIsAborted(t, server, config) })
			t.Run("corruption is refused", func(t *testing.T) { corruptionIsRefused(t, server, config) })
			t.Run("no batch delete", func(t *testing.T) { noBatchDelete(t, server, config) })
			t.Run("ranges ignored", func(t *testing.T) { rangesIgnored(t, server, config) })
			t.Run("overwriting store", func(t *testing.T) { overwritingStore(t, server, config) })
		})
	}
}

func operatorsMistakes(t *testing.T, good s3store.Config) {
	for want, spoil := range map[error]func(*s3store.Config){
		s3store.ErrNoBucket: func(c *s3store.Config) { c.Bucket = "absent-bucket" },
		s3store.ErrDenied:   func(c *s3store.Config) { c.SecretKey = "wrong" },
	} {
		config := good
		spoil(&config)
		store := open(t, config)
		if err := store.Put(t.Context(), "k", strings.NewReader("v")); !errors.Is(err, want) {
			t.Errorf("put: got %v, want %v", err, want)
		}
		if err := store.List(t.Context(), "", "", func(s3store.Object) bool { return true }); !errors.Is(err, want) {
			t.Errorf("list: got %v, want %v", err, want)
		}
		if _, err := s3store.Probe(t.Context(), store, nil); !errors.Is(err, want) {
			t.Errorf("probe: got %v, want %v", err, want)
		}
	}
}

func failedUploadIsAborted(t *testing.T, server *testserver.MinIOServer, config s3store.Config) {
	var aborted atomic.Int32
	config.Endpoint = between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted.Add(1)
		}
		if r.URL.Query().Get("partNumber") == "2" {
			io.Copy(io.Discard, r.Body)
			return refuse(w, http.StatusInternalServerError, "InternalError")
		}
		return false
	})
	store := open(t, once(config))
	err := store.Put(t.Context(), "big", bytes.NewReader(make([]byte, bigBytes)))
	if !s3store.Transient(err) || aborted.Load() != 1 {
		t.Fatalf("%v; %d aborts", err, aborted.Load())
	}
	if _, err := store.Head(t.Context(), "big"); !errors.Is(err, s3store.ErrNotFound) {
		t.Fatalf("head: %v", err)
	}
}

// flip changes the first byte of what it reads.
type flip struct {
	io.ReadCloser
	done bool
}

func (f *flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

func corruptionIsRefused(t *testing.T, server *testserver.MinIOServer, config s3store.Config) {
	var corrupt atomic.Bool
	config.Endpoint = between(t, server, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && corrupt.Load() {
			r.Body = &flip{ReadCloser: r.Body}
		}
		return false
	})
	store := open(t, once(config))
	for name, size := range map[string]int{"small": 1000, "large": bigBytes} {
		data := bytes.Repeat([]byte{1}, size)
		corrupt.Store(true)
		if err := store.Put(t.Context(), "corrupt/"+name, bytes.NewReader(data)); !s3store.Transient(err) {
			t.Errorf("%s: %v", name, err)
		}
		corrupt.Store(false)
		if _, err := store.Head(t.Context(), "corrupt/"+name); !errors.Is(err, s3store.ErrNotFound) {
			t.Errorf("%s is there: %v", name, err)
		}
		if err := store.Put(t.Context(), "corrupt/"+name, bytes.NewReader(data)); err != nil {
			t.Errorf("%s without corruption: %v", name, err)
		}
	}
}

func noBatchDelete(t *testing.T, server *testserver.MinIOServer, config s3store.Config) {
	config.Endpoint = between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Has("delete") && refuse(w, http.StatusNotImplemented, "NotImplemented")
	})
	store := open(t, config)
	if err := store.Put(t.Context(), "gone/a", strings.NewReader("v")); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), []string{"gone/a", "gone/absent"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Head(t.Context(), "gone/a"); !errors.Is(err, s3store.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
}

// rangesIgnored: a store that sends the whole object for a range must not pass
// off its first bytes as others.
func rangesIgnored(t *testing.T, server *testserver.MinIOServer, config s3store.Config) {
	config.Endpoint = between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.Header.Get("Range") == "" {
			return false
		}
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		io.WriteString(w, "0123456789")
		return true
	})
	store := open(t, config)
	if _, err := store.Get(t.Context(), "r", 3, 4); !errors.Is(err, s3store.ErrUnsupported) {
		t.Fatalf("got %v", err)
	}
}

func overwritingStore(t *testing.T, server *testserver.MinIOServer, config s3store.Config) {
	config.Endpoint = between(t, server, func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("If-None-Match") != "" && refuse(w, http.StatusNotImplemented, "NotImplemented")
	})
	store := open(t, config)
	report, err := s3store.Probe(t.Context(), store, nil)
	if err != nil || report.IfNoneMatch || len(report.Notes) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("v")); err != nil {
		t.Fatal(err)
	}
	if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("w")); !errors.Is(err, s3store.ErrExists) {
		t.Fatalf("got %v", err)
	}
}
