// Package id holds the numbers and names that every part of Varve speaks of, as
// types of their own, so that one can't be passed for another.
package id

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"varve/internal/chance"
)

// Broker is an agent's Kafka broker id, 1 or more; None is no broker.
type Broker int32

// NoBroker stands in Kafka's messages for "none".
const NoBroker Broker = -1

func (b Broker) String() string { return strconv.Itoa(int(b)) }

// Epoch is a partition's leader epoch; it grows with every change of owner.
type Epoch int32

// NoEpoch stands in Kafka's messages for "unknown".
const NoEpoch Epoch = -1

func (e Epoch) String() string { return strconv.Itoa(int(e)) }

// Incarnation is one run of an agent: unique in the cluster and increasing;
// zero is none.
type Incarnation uint64

func (i Incarnation) String() string { return strconv.FormatUint(uint64(i), 10) }

// Journal names a journal: the incarnation that writes it and its number among
// that incarnation's journals, from 1. Its text form is "12-1".
type Journal struct {
	Writer Incarnation
	Seq    uint32
}

// Compare orders journals by writer, and those of one writer as they were begun.
func (j Journal) Compare(o Journal) int {
	return cmp.Or(cmp.Compare(j.Writer, o.Writer), cmp.Compare(j.Seq, o.Seq))
}

func (j Journal) String() string { return fmt.Sprintf("%d-%d", j.Writer, j.Seq) }

// ParseJournal reads the form that String writes.
func ParseJournal(s string) (Journal, error) {
	w, q, ok := strings.Cut(s, "-")
	writer, err1 := strconv.ParseUint(w, 10, 64)
	seq, err2 := strconv.ParseUint(q, 10, 32)
	j := Journal{Incarnation(writer), uint32(seq)}
	if !ok || err1 != nil || err2 != nil || writer == 0 || seq == 0 || j.String() != s {
		return Journal{}, fmt.Errorf("journal id %q: want INCARNATION-NUMBER, both from 1", s)
	}
	return j, nil
}

// Store is the random id of a formatted data directory.
type Store [16]byte

// NewStore makes a random id.
func NewStore(random *chance.Source) (s Store) {
	_, _ = random.Read(s[:]) // never fails
	return s
}

func (s Store) String() string { return hex.EncodeToString(s[:]) }

// Topic is a topic's id, a random (version 4) UUID; zero is none.
type Topic [16]byte

// NewTopic makes a random id whose text form doesn't begin with a dash, so that
// it can stand on a command line.
func NewTopic(random *chance.Source) (t Topic) {
	for {
		_, _ = random.Read(t[:])
		t[6] = t[6]&0x0f | 0x40
		t[8] = t[8]&0x3f | 0x80
		if !strings.HasPrefix(t.String(), "-") {
			return t
		}
	}
}

// String is Kafka's form: 22 characters of URL-safe base64.
func (t Topic) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// Hex is the form used in keys.
func (t Topic) Hex() string { return hex.EncodeToString(t[:]) }

// ParseTopicHex reads the form that Hex writes.
func ParseTopicHex(s string) (t Topic, err error) {
	if len(s) != 32 || strings.ToLower(s) != s {
		return t, fmt.Errorf("topic id %q: want 32 lower-case hex digits", s)
	}
	if _, err = hex.Decode(t[:], []byte(s)); err != nil {
		return t, fmt.Errorf("topic id %q: %w", s, err)
	}
	return t, nil
}

// Partition names a partition by its topic's id and its index from 0.
type Partition struct {
	Topic Topic
	Index int32
}

// Compare orders partitions by topic id, and those of one topic by number.
func (p Partition) Compare(o Partition) int {
	return cmp.Or(bytes.Compare(p.Topic[:], o.Topic[:]), cmp.Compare(p.Index, o.Index))
}

func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Index) }
