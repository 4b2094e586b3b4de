package notify

import "testing"

func TestBroadcastWakesAllThatWait(t *testing.T) {
	var b Broadcast
	b.Send() // no one waits
	one, two := b.Next(), b.Next()
	select {
	case <-one:
		t.Fatal("a waiter was woken by what was sent before")
	default:
	}
	b.Send()
	<-one
	<-two
	select {
	case <-b.Next():
		t.Fatal("a waiter was woken by what was sent before")
	default:
	}
}

func TestSignalIsKeptOnce(t *testing.T) {
	s := NewSignal()
	s.Set()
	s.Set()
	<-s
	select {
	case <-s:
		t.Fatal("two signals were kept")
	default:
	}
}
