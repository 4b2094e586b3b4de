package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/health"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// well is a cluster of three agents in which each may be stopped.
func well() health.Answer {
	a := health.Answer{AgentsExpected: 3, AgentsLive: 3, MayStop: true}
	for b := range int32(3) {
		a.Agents = append(a.Agents, health.AgentState{Broker: b + 1, State: "serving", MayStop: true})
	}
	return a
}

// toldHealth serves answers, the last of them again and again.
func toldHealth(t *testing.T, answers ...health.Answer) string {
	t.Helper()
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(w).Encode(answers[0]); err != nil {
			t.Error(err)
		}
		if len(answers) > 1 {
			answers = answers[1:]
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// registered returns a store with agents that are alive.
func registered(t *testing.T, brokers ...id.Broker) metadata.Store {
	t.Helper()
	store := metadata.NewMemory().Open()
	t.Cleanup(func() { store.Close() })
	for _, b := range brokers {
		if _, err := store.Txn(t.Context(), nil, metadata.Put(schema.AgentKey(b), schema.Agent{}.Encode())); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// Of agents whose turns begin at the same time, one is interrupted at a time.
func TestTurnsTakeTurns(t *testing.T) {
	store, http := registered(t, 1, 2, 3), toldHealth(t, well())
	var now, all atomic.Int32
	var turns sync.WaitGroup
	for b := range int32(3) {
		turns.Go(func() {
			own := &turn{store: store, broker: b + 1, http: http, limit: time.Minute, said: io.Discard}
			err := own.take(t.Context(), func(context.Context) error {
				if n := now.Add(1); n != 1 {
					t.Errorf("%d are interrupted at the same time", n)
				}
				time.Sleep(20 * time.Millisecond) // in which another would begin
				now.Add(-1)
				all.Add(1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	turns.Wait()
	if all.Load() != 3 {
		t.Errorf("%d had their turn", all.Load())
	}
}

// A turn waits while the cluster isn't well, says for what, and ends with an error when it takes too long. The command
// isn't run then.
func TestTurnWaitsForHealth(t *testing.T) {
	starting := well()
	starting.Agents[1].State = "starting"
	var said strings.Builder
	ran := false
	own := &turn{store: registered(t, 1, 2, 3), broker: 1, http: toldHealth(t, starting, well()), limit: time.Minute, said: &said}
	if err := own.take(t.Context(), func(context.Context) error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("ran %v, %v", ran, err)
	}
	if !strings.Contains(said.String(), "waiting before the command: agent 2 is starting") {
		t.Errorf("said %q", said.String())
	}
	own = &turn{store: registered(t, 1, 2, 3), broker: 1, http: toldHealth(t, starting), limit: 10 * time.Millisecond, said: io.Discard}
	err := own.take(t.Context(), func(context.Context) error { t.Error("it was run"); return nil })
	if exitCode(err) != exitUnavailable || !strings.Contains(err.Error(), "agent 2 is starting") {
		t.Errorf("it ended with %v", err)
	}
}

// A command that fails doesn't keep the lock, and neither does a host that dies.
func TestTurnReleasesTheLock(t *testing.T) {
	store, http := registered(t, 1, 2), toldHealth(t, well())
	own := &turn{store: store, broker: 1, http: http, limit: time.Minute, said: io.Discard}
	failed := errors.New("failed")
	if err := own.take(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("it ended with %v", err)
	}
	dead, err := store.Session(t.Context(), turnTTL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Txn(t.Context(), []metadata.Guard{{Key: schema.KeyTurn}}, metadata.PutLeased(schema.KeyTurn, []byte("a dead one"), dead.Lease())); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	own.said = writerFunc(func(b []byte) {
		if strings.Contains(string(b), "it is the turn of a dead one") {
			close(told)
		}
	})
	go func() {
		<-told
		if err := store.Revoke(context.WithoutCancel(t.Context()), dead.Lease()); err != nil {
			t.Error(err)
		}
	}()
	if err := own.take(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// A lock that is lost during the wait is taken again: another agent may have its turn by then, and both would be
// interrupted at the same time.
func TestTurnLosesTheLock(t *testing.T) {
	store := registered(t, 1, 2, 3)
	starting := well()
	starting.Agents[1].State = "starting"
	var other metadata.Session
	steps := 0
	step := func(said string) error {
		switch {
		case steps == 0 && strings.Contains(said, "agent 2 is starting"): // this host is cut off from etcd, and another gets the lock
			kv, err := store.Get(t.Context(), schema.KeyTurn)
			if err == nil {
				err = store.Revoke(t.Context(), kv.Lease)
			}
			if err == nil {
				other, err = store.Session(t.Context(), turnTTL)
			}
			if err == nil {
				_, err = store.Txn(t.Context(), []metadata.Guard{{Key: schema.KeyTurn}}, metadata.PutLeased(schema.KeyTurn, []byte("another"), other.Lease()))
			}
			steps = 1
			return err
		case steps == 1 && strings.Contains(said, "it is the turn of another"):
			steps = 2
			return other.Close(t.Context())
		}
		return nil
	}
	own := &turn{store: store, broker: 1, http: toldHealth(t, starting, well()), limit: time.Minute, said: writerFunc(func(b []byte) {
		if err := step(string(b)); err != nil {
			t.Error(err)
		}
	})}
	err := own.take(t.Context(), func(context.Context) error {
		if steps != 2 {
			t.Errorf("it ran when another agent had the lock: step %d", steps)
		}
		return nil
	})
	if err != nil || steps != 2 {
		t.Errorf("step %d: %v", steps, err)
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(b []byte) (int, error) { w(b); return len(b), nil }

// An agent that isn't running waits for nobody before it is started: of a new cluster none serves alone.
func TestTurnOfOneThatDoesNotRun(t *testing.T) {
	bad := well()
	bad.MayStop, bad.Agents[2].State, bad.Agents[2].MayStop = false, "gone", false
	store := registered(t, 1, 2)
	other, err := store.Session(t.Context(), turnTTL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Txn(t.Context(), nil, metadata.PutLeased(schema.KeyTurn, []byte("another"), other.Lease())); err != nil {
		t.Fatal(err)
	}
	own := &turn{store: store, broker: 3, http: toldHealth(t, bad, well()), limit: time.Minute, said: io.Discard}
	ran := false
	if err := own.take(t.Context(), func(context.Context) error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("ran %v, %v", ran, err)
	}
}

func TestMayGo(t *testing.T) {
	own := &turn{broker: 1}
	for _, c := range []struct {
		change func(*health.Answer)
		want   string
	}{
		{func(*health.Answer) {}, ""},
		{func(a *health.Answer) { a.Agents[2].State = "gone" }, "agent 3 is gone"},
		{func(a *health.Answer) { a.Agents[2].State = "stopped" }, "agent 3 is stopped"},
		{func(a *health.Answer) { a.Agents[2].State, a.Agents[2].Drained = "stopped", true }, ""},
		{func(a *health.Answer) { a.Agents[0].State = "not ready" }, ""}, // a restart may mend it
		{func(a *health.Answer) { a.Agents[0].MayStop, a.Agents[0].Why = false, "why" }, "why"},
		{func(a *health.Answer) { a.EtcdAwaySince = time.Now() }, "etcd does not answer"},
		{func(a *health.Answer) { *a = health.Answer{AgentsExpected: 1, AgentsLive: 1} }, ""},
	} {
		a := well()
		c.change(&a)
		if got := own.mayGo(&a); got != c.want {
			t.Errorf("%+v: %q, want %q", a.Agents, got, c.want)
		}
	}
}

// The command reads where etcd is, and which agent this is, from the agent's configuration.
func TestClusterTurn(t *testing.T) {
	a := startAgent(t)
	file := filepath.Join(a.dir, "varve.yaml")
	if err := os.WriteFile(file, []byte("broker_id: 1\nstore: {driver: memory}\netcd: {endpoints: ['"+a.etcd+"']}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "cluster turn --config "+file+" --http "+a.http+" -- echo restarted"), exitOK, "restarted")
	wants(t, command(t, "", "cluster turn --lock-only --config "+file+" -- echo drained"), exitOK, "drained")
	wants(t, command(t, "", "cluster turn --config "+file+" --http "+a.http+" -- sh -c", "exit 7"), 7, "exit status 7")
	wants(t, command(t, "", "cluster turn --config "+file+" --http "+a.http+" -- "+filepath.Join(a.dir, "nothing")), exitFailed, "no such file")
	wants(t, command(t, "", "cluster turn --config "+file), exitUsage)
}
