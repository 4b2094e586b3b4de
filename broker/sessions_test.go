package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sessionRequest asks for partitions of a topic that need not be there.
func sessionRequest(session, epoch int32, from, to int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = 11, session, epoch
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "nosuch"
	for i := from; i < to; i++ {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = i
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// Sessions follow a bounded number of partitions, each and together; who gets none
// repeats what it wants, and those that nobody uses give way.
func TestFetchSessionsAreBounded(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	const each, most = 60_000, 1 << 19
	ss := newSessions(1000, most, func() time.Time { return now }, nil)
	var kept []*fetchSession
	for range 20 {
		s, wants, err := ss.open(anonymous, sessionRequest(0, 0, 0, each))
		if err != nil || len(wants) != each {
			t.Fatalf("%d partitions, %v", len(wants), err)
		}
		if s != nil {
			kept = append(kept, s)
			ss.close(s)
		}
	}
	if want := most / each; len(kept) != want || ss.parts != want*each {
		t.Fatalf("%d sessions with %d partitions, want %d", len(kept), ss.parts, want)
	}
	// One that grows beyond what there is room for is given up.
	if _, _, err := ss.open(anonymous, sessionRequest(kept[0].id, 1, each, each+each/2)); err != nil {
		t.Errorf("growing within the bound: %v", err)
	}
	if _, _, err := ss.open(anonymous, sessionRequest(kept[1].id, 1, each, each+each/2)); !errors.Is(err, kerr.FetchSessionIDNotFound) {
		t.Errorf("growing beyond the bound: %v", err)
	}
	if s, _, _ := ss.open(anonymous, sessionRequest(0, 0, 0, 1000)); s == nil {
		t.Error("there is no room where one was given up")
	}
	now = now.Add(sessionIdle)
	for range 3 {
		if s, _, _ := ss.open(anonymous, sessionRequest(0, 0, 0, each)); s == nil {
			t.Error("sessions that nobody uses don't give way")
		}
	}
	for id, s := range ss.by {
		ss.drop(anonymous, id)
		if ss.by[s.id] != nil {
			t.Error("a dropped session is there")
		}
	}
	if ss.parts != 0 {
		t.Errorf("%d partitions are counted without sessions", ss.parts)
	}
}

// A session is its principal's: to another one it isn't there, and it can't be ended by one.
func TestFetchSessionsAreOfOnePrincipal(t *testing.T) {
	ss := newSessions(10, 1000, time.Now, nil)
	s, _, _ := ss.open("User:a", sessionRequest(0, 0, 0, 3))
	ss.close(s)
	for _, epoch := range []int32{1, 2} {
		if got, wants, err := ss.open("User:b", sessionRequest(s.id, epoch, 0, 0)); got != nil || wants != nil || !errors.Is(err, kerr.FetchSessionIDNotFound) {
			t.Errorf("epoch %d of another principal: %v, %v", epoch, wants, err)
		}
	}
	for _, epoch := range []int32{-1, 0} { // which end a session
		if _, _, err := ss.open("User:b", sessionRequest(s.id, epoch, 0, 1)); err != nil {
			t.Error(err)
		}
	}
	got, wants, err := ss.open("User:a", sessionRequest(s.id, 1, 0, 0))
	if got != s || len(wants) != 3 || err != nil {
		t.Fatalf("its own: %v, %v, %v", got, wants, err)
	}
	ss.close(s)
	if _, _, err := ss.open("User:a", sessionRequest(s.id, -1, 0, 0)); err != nil || ss.by[s.id] != nil {
		t.Errorf("it isn't ended by its own: %v", err)
	}
}
