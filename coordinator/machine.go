package coordinator

import (
	"fmt"
	"time"

	"varve/metadata"
)

// Machine is one thing that is coordinated, by a key: a group, say. It does no I/O and reads
// no clock: Step takes what happened and when, and returns what is to be done. The other
// methods are asked between steps. Only one goroutine uses a machine at a time.
type Machine interface {
	// Step applies an event and returns what is to be done, in order.
	Step(now time.Time, e Event) []Effect
	// Wake returns when the machine next needs a Tick, the zero time if never.
	Wake() time.Time
	// Gone reports whether the machine is not there, and has nothing to store.
	Gone() bool
	// Busy reports whether something is not stored yet.
	Busy() bool
	// Idle reports whether the machine can be taken out of memory, to be loaded again as it
	// is by the one that needs it.
	Idle() bool
	// Expiry returns when an idle machine has to be in memory again, the zero time if never.
	Expiry() time.Time
	// State names the machine's state in the metrics.
	State() string
	// Size bounds what clients made the machine keep, in bytes.
	Size() int
	// Summary is what is kept in memory of a machine that isn't.
	Summary() any
}

// Ticket names a request until it is answered, once, by a Reply.
type Ticket uint64

// Event is something that happens to a machine: one of those below, or a request of the
// machine's own.
type Event any

// Tick is the passing of time; due at the machine's Wake.
type Tick struct{}

// Loaded is the first event of a machine that was loaded from the store, except that it may
// hear of StoreAway before.
type Loaded struct{}

// Stored reports that a Store is durable. If one fails what is stored is not known: the machine
// gets a Resign, and is reloaded.
type Stored struct{}

// StoreAway reports that the metadata store doesn't answer, or answers again. What waits for
// it, and what would have to, is answered at once with ErrAway.
type StoreAway struct{ Away bool }

// Resign answers everything that is pending with Err; the machine is not used after it.
type Resign struct{ Err error }

// Effect is what a Step asks for: Reply, Store, Note or Count.
type Effect interface{ effect() }

// Reply answers the request of a Ticket.
type Reply struct {
	Ticket Ticket
	Answer any
}

// Store has operations done in one transaction; a Stored answers it, and until then there is
// no other. The driver adds the guards: no key is written that another agent has changed,
// and nothing once another agent owns the slot.
type Store struct{ Ops []metadata.Op }

// Note is worth a line in the log.
type Note struct {
	Text  string
	Alarm bool // an operator has to do something
}

// Count adds to a metric.
type Count struct {
	What Counter
	N    int
}

// Counter is something that machines of a kind count.
type Counter string

func (Reply) effect() {}
func (Store) effect() {}
func (Note) effect()  {}
func (Count) effect() {}

// Effects gathers what a machine asks for in one step, in order.
type Effects struct {
	Now time.Time // when the step is
	all []Effect
}

// Begin begins a step.
func (f *Effects) Begin(now time.Time) { *f = Effects{Now: now} }

// All returns what was gathered.
func (f *Effects) All() []Effect { return f.all }

// Reply answers a request.
func (f *Effects) Reply(t Ticket, answer any) { f.all = append(f.all, Reply{t, answer}) }

// Store has operations done.
func (f *Effects) Store(ops []metadata.Op) { f.all = append(f.all, Store{ops}) }

// Note has a line logged.
func (f *Effects) Note(format string, args ...any) {
	f.all = append(f.all, Note{fmt.Sprintf(format, args...), false})
}

// Alarm has a line logged of what an operator has to do something about.
func (f *Effects) Alarm(format string, args ...any) {
	f.all = append(f.all, Note{fmt.Sprintf(format, args...), true})
}

// Count adds to a metric.
func (f *Effects) Count(what Counter, n int) {
	if n > 0 {
		f.all = append(f.all, Count{what, n})
	}
}
