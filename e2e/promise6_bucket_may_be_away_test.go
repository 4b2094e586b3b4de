package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

// status is what the test reads of /v1/status.
type status struct {
	Partitions int     `json:"partitions"`
	Untiered   int64   `json:"untiered_bytes"`
	Tier       int64   `json:"tier_bytes"`
	Pressure   float64 `json:"journal_pressure"`
}

func (s *site) status() (st status, err error) {
	body, err := get("http://" + s.http + "/v1/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &st)
	}
	return st, err
}

func (s *site) partitionsServed() int {
	s.t.Helper()
	st, err := s.status()
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Partitions
}

// uploaded waits until nothing waits for upload.
func (s *site) uploaded(when string) {
	s.t.Helper()
	poll(s.t, 90*time.Second, "upload "+when, func() error {
		st, err := s.status()
		if err == nil && st.Untiered > 0 {
			err = fmt.Errorf("%d bytes wait", st.Untiered)
		}
		return err
	})
}

// TestBucketAway: producing and reading the tail go on; when the bucket is back,
// everything is uploaded, and read from there after the disk is gone.
func TestBucketAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	l := newLedger(t, s.kafka, "nobucket", 4)
	l.put(1000, 500)
	if err := s.minio.Kill(); err != nil {
		t.Fatal(err)
	}
	l.begin(500)
	outage := time.Now()
	for time.Since(outage) < 8*time.Second {
		l.awaitMore(5000)
	}
	l.end()
	l.check()
	if st, err := s.status(); err != nil || st.Untiered == 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := s.minio.Start(); err != nil {
		t.Fatal(err)
	}
	s.uploaded("after the outage")
	s.agent.stop()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	s.start()
	l.check()
}
