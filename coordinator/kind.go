package coordinator

import (
	"github.com/prometheus/client_golang/prometheus"

	"varve/metadata"
)

// Kind is what a coordinator has to know of the machines that it drives.
type Kind struct {
	Name   string // of one, in the log: "group"
	Plural string // of several: "groups"

	// New makes a machine that is not there yet.
	New func(key string) Machine
	// Load makes a machine of all values that the store holds of it. Its first event must
	// be Loaded. It reports whether the machine has to be in memory from the start, for
	// what it does by itself before its Expiry.
	Load func(key string, stored []metadata.KV) (m Machine, stay bool, err error)
	// Values is where the store has the values of all machines.
	Values []Values
	// Unreadable is the Summary of a machine whose values can't be decoded.
	Unreadable func(key string) any
	// Unread is the state of machines that weren't loaded yet, or can't be, in the metrics.
	Unread string

	// AwayText and BackText are logged when the metadata store doesn't answer, and when it
	// does again.
	AwayText, BackText string
	Metrics            Metrics
}

// Values is a place in the store where each machine may have one value or several.
type Values struct {
	Prefix string // of all machines' values
	// Of returns whose a value is, by its key.
	Of func(key string) (machine string, err error)
	// At returns the key of a machine's value, or the prefix of its values if they are Many.
	At   func(machine string) string
	Many bool
}

// Metrics are what a coordinator counts, under names of the kind's own.
type Metrics struct {
	Machines      *prometheus.GaugeVec // those that are coordinated, by state
	Loaded        prometheus.Gauge     // those in memory
	StoreFailures prometheus.Counter   // failed writes, after which a machine is reloaded
	Counts        map[Counter]prometheus.Counter
}

func (k *Kind) log(what string) string { return k.Name + " " + what }
