//go:build full

package e2e

import (
	"testing"
	"time"
)

// TestEtcdGoneForAMinute is TestAllOfEtcdGone, for twenty sessions' time.
func TestEtcdGoneForAMinute(t *testing.T) {
	t.Parallel()
	allOfEtcdGone(t, time.Minute)
}

// TestBucketGoneForAMinute is TestBucketAwayAndAgentKilled, for two uploads' time.
func TestBucketGoneForAMinute(t *testing.T) {
	t.Parallel()
	bucketAwayAndAgentKilled(t, time.Minute)
}
