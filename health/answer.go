package health

import (
	"fmt"
	"time"

	"varve/internal/say"
)

// Level is how bad something is.
type Level int

// The levels; a command's exit code is the same number.
const (
	Healthy     Level = iota
	Degraded          // everything is served, and something is not as it should be
	Unavailable       // something can't be written or read
)

var levelNames = [...]string{"healthy", "degraded", "unavailable"}

func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("level %d", int(l))
	}
	return levelNames[l]
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads it.
func (l *Level) UnmarshalText(b []byte) error {
	for i, name := range levelNames {
		if name == string(b) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("health level %q is none of %v", b, levelNames)
}

// Answer is how well a cluster is, as /v1/health tells it.
type Answer struct {
	Cluster string `json:"cluster"`
	Level   Level  `json:"level"`
	// EtcdAwaySince: etcd does not answer since then, and this is the last that was known.
	EtcdAwaySince time.Time    `json:"etcd_away_since,omitzero"`
	Agents        []AgentState `json:"agents"`
	// AgentsExpected counts the agents that should be there, AgentsLive those of them
	// that have a session.
	AgentsExpected int `json:"agents_expected"`
	AgentsLive     int `json:"agents_live"`
	// PartitionsLeaderless have no leader, or one that can't serve them yet.
	PartitionsLeaderless int `json:"partitions_leaderless"`
	// JournalsShort are journals with fewer members than they should have.
	JournalsShort int `json:"journals_short_of_members"`
	// MayStop: any one agent may be stopped now, and its disk be lost.
	MayStop    bool    `json:"may_stop_an_agent"`
	MayStopWhy string  `json:"may_stop_why,omitempty"` // why not
	AtRisk     AtRisk  `json:"at_risk"`
	Checks     []Check `json:"checks"`
}

// Headline is the verdict in a line.
func (a *Answer) Headline() string {
	text := fmt.Sprintf("%s: %d of %s alive", a.Level, a.AgentsLive, say.Count(a.AgentsExpected, "agent"))
	if !a.EtcdAwaySince.IsZero() {
		text = fmt.Sprintf("%s: etcd does not answer; what follows is the last that was known at %s", a.Level, a.EtcdAwaySince.UTC().Format(time.DateTime))
	}
	return text
}

// AtRisk is what only agents' disks have.
type AtRisk struct {
	Bytes    int64 `json:"bytes"`
	OldestMs int64 `json:"oldest_ms"`
	Unknown  int   `json:"agents_unknown"` // agents that did not answer
}

// AgentState is an agent in an Answer.
type AgentState struct {
	Broker  int32   `json:"broker"`
	Host    string  `json:"host"`
	State   string  `json:"state"` // serving, starting, not ready, stopping, silent, not asked, stopped, gone
	Drained bool    `json:"drained"`
	MayStop bool    `json:"may_stop"`
	Why     string  `json:"may_stop_why,omitempty"`
	Report  *Report `json:"report,omitempty"`
}

// Check is one line of a verdict.
type Check struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what to do about it
}
