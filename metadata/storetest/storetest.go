// Package storetest is the conformance suite of metadata.Store: what every
// implementation promises, and nothing about how it does so.
//
// It waits for what it waits for, never for time alone, so that it runs with
// fake time as well as against a real server.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"varve/metadata"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// TTL is the time to live of the sessions in the suite: the least that etcd's
// default settings allow.
const TTL = 2 * time.Second

// Case is one promise. Its Run gets two handles on one empty store, which the
// caller closes.
type Case struct {
	Name string
	Run  func(t *testing.T, a, b metadata.Store)
}

// Run runs every case as a subtest. open returns two handles on the same store,
// empty for each call, and closes them when the test ends.
func Run(t *testing.T, open func(t *testing.T) (a, b metadata.Store)) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			a, b := open(t)
			c.Run(t, a, b)
		})
	}
}

// Cases are all the promises; an implementation that needs more around a test
// than Run returns (a bubble of fake time) runs them itself.
func Cases() []Case {
	return []Case{
		{"Get", testGet},
		{"PutKeepsCreate", testPutKeepsCreate},
		{"DeleteAbsent", testDeleteAbsent},
		{"Guards", testGuards},
		{"TxnIsAtomic", testTxnIsAtomic},
		{"TxnLimits", testTxnLimits},
		{"TxnWithoutOps", testTxnWithoutOps},
		{"CompareAndSwapRace", testRace},
		{"List", testList},
		{"ListPages", testListPages},
		{"WatchStartsWithState", testWatchState},
		{"WatchWholeRevisions", testWatchRevisions},
		{"WatchMissesNothing", testWatchAll},
		{"SlowWatcher", testSlowWatcher},
		{"WatchEnds", testWatchEnds},
		{"SessionKeepsAlive", testSessionAlive},
		{"SessionClose", testSessionClose},
		{"SessionLost", testSessionLost},
		{"SessionExpires", testSessionExpires},
		{"LeaseDetach", testLeaseDetach},
		{"LeaseGone", testLeaseGone},
		{"CloseKeepsLease", testCloseKeepsLease},
		{"Context", testContext},
		{"Closed", testClosed},
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// txn applies ops without guards.
func txn(t testing.TB, s metadata.Store, ops ...metadata.Op) metadata.Revision {
	t.Helper()
	return must(s.Txn(context.Background(), nil, ops...))(t)
}

func put(t testing.TB, s metadata.Store, key, value string) metadata.Revision {
	t.Helper()
	return txn(t, s, metadata.Put(key, []byte(value)))
}

// wantErr fails unless err is the wanted one.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func wantKV(t testing.TB, got metadata.KV, key, value string, create, mod metadata.Revision) {
	t.Helper()
	if got.Key != key || string(got.Value) != value || got.Create != create || got.Mod != mod {
		t.Fatalf("got %s, want %s", show(got), show(metadata.KV{Key: key, Value: []byte(value), Create: create, Mod: mod}))
	}
}

func show(kv metadata.KV) string {
	return fmt.Sprintf("%s=%q (created %d, changed %d)", kv.Key, kv.Value, kv.Create, kv.Mod)
}
