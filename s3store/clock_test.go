package s3store

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"varve/internal/testserver"
)

func TestSkewOf(t *testing.T) {
	now := time.Unix(1000, 500e6)
	for read, want := range map[time.Time]time.Duration{
		time.Unix(1000, 0): 0, time.Unix(1001, 0): 500 * time.Millisecond, time.Unix(999, 0): -500 * time.Millisecond, time.Unix(8200, 0): 2*time.Hour - 500*time.Millisecond,
	} {
		if got := SkewOf(now, now, read); got != want {
			t.Errorf("a clock that reads %v at %v: %v ahead, want %v", read.UTC(), now.UTC(), got, want)
		}
	}
	if got := SkewOf(now, now.Add(3*time.Second), time.Unix(1003, 0)); got != 0 {
		t.Errorf("an answer that took 3 s says nothing of %v", got)
	}
}

// TestClockIsOff: a store whose clock is two hours ahead of ours is used all the same, after
// one request that it refuses; that is told as what it is, not as denied access.
func TestClockIsOff(t *testing.T) {
	const ahead = 2 * time.Hour
	var refused atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if off := now.Sub(at).Abs(); err != nil || off > 15*time.Minute {
			refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			_ = xml.NewEncoder(w).Encode(struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
				Message string
			}{Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large."})
			return
		}
		w.Header().Set("Last-Modified", now.UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"e"`)
		fmt.Fprint(w, "data")
	}))
	defer server.Close()
	for _, driver := range []string{DriverMinIO, DriverAWS} {
		refused.Store(0)
		config := DefaultConfig()
		config.Driver, config.Endpoint, config.Bucket, config.Region, config.PathStyle = driver, server.URL, "bucket", "us-east-1", true
		config.AccessKey, config.SecretKey = "key", "secret"
		config.Retry.Base, config.Retry.Max = time.Millisecond, time.Millisecond
		store, err := Open(t.Context(), config, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, known := Skew(store); known {
			t.Errorf("%s: the clock of a store that was not asked is known", driver)
		}
		for range 3 {
			body, err := store.Get(t.Context(), "x", 0, -1)
			if err != nil {
				t.Fatalf("%s: %v", driver, err)
			}
			b, err := io.ReadAll(body)
			body.Close()
			if err != nil || string(b) != "data" {
				t.Errorf("%s: %q, %v", driver, b, err)
			}
		}
		if skew, known := Skew(store); !known || (skew-ahead).Abs() > 2*time.Second {
			t.Errorf("%s: the clock is %v ahead (%v), want %v", driver, skew, known, ahead)
		}
		if n := refused.Load(); n != 1 {
			t.Errorf("%s: %d requests were refused", driver, n)
		}
		store.Close()
	}
	err := wrap(OpPut, "k", sentinel(http.StatusForbidden, "RequestTimeTooSkewed"), fmt.Errorf("403"))
	if strings.Contains(err.Error(), "denied") || !strings.Contains(err.Error(), "clocks") || !Transient(err) || kindOf(err) != "clock_skew" {
		t.Errorf("%v", err)
	}
}

// TestSignedOnceMore: a real server takes what was signed a second time by another clock.
func TestSignedOnceMore(t *testing.T) {
	server := testserver.MinIO(t)
	if err := server.CreateBucket(t.Context(), "again"); err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.Driver, config.Endpoint, config.Bucket, config.PathStyle = DriverMinIO, server.Endpoint, "again", true
	config.AccessKey, config.SecretKey = server.AccessKey, server.SecretKey
	config.PartSizeBytes = minPartBytes
	var clock serverClock
	m, err := openMinIO(config, driverBase{&clock, slog.New(slog.DiscardHandler), time.Now})
	if err != nil {
		t.Fatal(err)
	}
	var store Store = m
	m.signing.from = 0                           // also where the clocks agree
	for _, size := range []int{0, 10, 6 << 20} { // the last in parts
		key := fmt.Sprint("object with=odd/", size)
		key = strings.ReplaceAll(key, " ", "_")
		data := strings.Repeat("x", size)
		if err := store.PutIfAbsent(context.Background(), key, strings.NewReader(data)); err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
		body, err := store.Get(t.Context(), key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(b) != data {
			t.Errorf("%d bytes became %d, %v", size, len(b), err)
		}
	}
	n := 0
	if err := store.List(t.Context(), "object", "", func(Object) bool { n++; return true }); err != nil || n != 3 {
		t.Errorf("%d objects, %v", n, err)
	}
	if err := store.Delete(t.Context(), []string{"object_with=odd/0", "object_with=odd/10"}); err != nil {
		t.Error(err)
	}
}
