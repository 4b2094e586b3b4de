package sasl

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"varve/internal/workbound"
)

// paper is a security context that writes what is wrapped between brackets.
type paper struct{ reply []byte }

func (p paper) Reply() []byte { return p.reply }

func (p paper) Wrap(b []byte) ([]byte, error) { return []byte("<" + string(b) + ">"), nil }

func (p paper) Unwrap(b []byte) ([]byte, error) {
	text, ok := strings.CutPrefix(string(b), "<")
	text, closed := strings.CutSuffix(text, ">")
	if !ok || !closed {
		return nil, errors.New("not wrapped")
	}
	return []byte(text), nil
}

func (p paper) Names() ([]string, string) { return []string{"alice@R", "alice"}, "alice" }

// tickets lets in who says "ticket", and answers who says "ticket, and you?".
func tickets() *Server {
	return NewServer(Options{Lookup: accounts{}.lookup, Accept: func(token []byte) (SecurityContext, string, error) {
		switch string(token) {
		case "ticket":
			return paper{}, "alice@R", nil
		case "ticket, and you?":
			return paper{[]byte("kafka")}, "alice@R", nil
		case "old":
			return nil, "alice@R", errors.New("the ticket has expired")
		}
		return nil, "", errors.New("the token is malformed")
	}})
}

const offered = "<\x01\x00\x00\x00>"

func TestTicketsLogIn(t *testing.T) {
	for _, as := range []string{"", "alice", "alice@R"} {
		for _, size := range []string{"\x00\x00\x00", "\x01\x00\x00"} { // some repeat theirs, although there is no layer
			for first, answers := range map[string][]string{"ticket": {offered}, "ticket, and you?": {"kafka", offered}} {
				e, err := tickets().Begin(GSSAPI, "a")
				if err != nil {
					t.Fatal(err)
				}
				message := first
				for _, want := range answers {
					answer, who, err := e.Step(t.Context(), []byte(message))
					if err != nil || who != nil || string(answer) != want || e.Claimed() != "alice@R" {
						t.Fatalf("%q: %q, %v, %v", message, answer, who, err)
					}
					message = ""
				}
				last := []byte("<\x01" + size + as + ">")
				answer, who, err := e.Step(t.Context(), last)
				if err != nil || answer != nil || who == nil || who.User != "alice" || !who.Expires.IsZero() {
					t.Errorf("as %q: %q, %v, %v", as, answer, who, err)
				}
				if _, who, err := e.Step(t.Context(), last); who != nil || !isFailure(err) {
					t.Error("a message counts twice")
				}
			}
		}
	}
}

// Messages that aren't as they must be end the exchange, and the client isn't told why.
func TestBadTicketExchangesEnd(t *testing.T) {
	for _, messages := range [][]string{
		{""}, {"nonsense"}, {"old"}, {strings.Repeat("t", MaxMessage+1)},
		{"ticket, and you?", "x"}, {"ticket, and you?", "<\x01\x00\x00\x00>"}, {"ticket, and you?", "ticket"},
		{"ticket", ""}, {"ticket", "\x01\x00\x00\x00"}, {"ticket", "<>"}, {"ticket", "<\x01\x00\x00>"}, {"ticket", "<\x00\x00\x00\x00>"}, {"ticket", "<\x02\x00\x00\x00>"}, {"ticket", "<\x04\x00\x00\x00>"}, {"ticket", "<\x03\x00\x00\x00>"},
		{"ticket", "<\x01\x00\x00\x00bob>"}, {"ticket", "<\x01\x00\x00\x00alice@S>"}, {"ticket", "<\x01\x00\x00\x00alice\x00>"}, {"ticket", "<\x01\x00\x00\x00\xff>"}, {"ticket", "ticket"},
	} {
		e, err := tickets().Begin(GSSAPI, "a")
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range messages {
			answer, who, err := e.Step(t.Context(), []byte(m))
			if who != nil || i == len(messages)-1 && (!isFailure(err) || answer != nil) {
				t.Errorf("%q: %q, %v, %v", messages, answer, who, err)
			}
			var f *Failure
			if errors.As(err, &f) && f.Text != "" && f.Text != otherIdentity {
				t.Errorf("%q: the client is told %q", messages, f.Text)
			}
		}
		for _, m := range []string{"ticket", "<\x01\x00\x00\x00>"} {
			if _, who, err := e.Step(t.Context(), []byte(m)); who != nil || !isFailure(err) {
				t.Errorf("%q goes on: %v, %v", messages, who, err)
			}
		}
	}
	if _, err := NewServer(Options{}).Begin(GSSAPI, "a"); err == nil {
		t.Error("there is GSSAPI without keys")
	}
}

func FuzzTicketExchange(f *testing.F) {
	f.Add([]byte("ticket"), []byte("<\x01\x00\x00\x00alice>"))
	f.Add([]byte("ticket, and you?"), []byte(""))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		e, err := tickets().Begin(GSSAPI, "")
		if err != nil {
			t.Fatal(err)
		}
		workbound.Check(t, len(one)+len(two)+4096, func() {
			for _, m := range [][]byte{one, two} {
				_, who, err := e.Step(t.Context(), m)
				if err != nil && !isFailure(err) {
					t.Fatal(err)
				}
				if who != nil && !(string(one) == "ticket" && bytes.HasPrefix(two, []byte("<\x01"))) {
					t.Errorf("%q and %q are let in", one, two)
				}
			}
		})
	})
}
