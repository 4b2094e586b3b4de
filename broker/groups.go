package broker

import (
	"context"
	"log/slog"
	"net"
	"time"

	"varve/cluster"
	"varve/group"
	"varve/internal/id"
)

// groupTopics finds topics by name or id (opening).
type groupTopics interface {
	topic(ctx context.Context, byID bool, name string, topic id.Topic) (*cluster.Topic, error)
}

// groupCoordinators knows which agent coordinates a group, and its address for
// clients of a listener (directory).
type groupCoordinators interface {
	Coordinator(group, listener string, reached net.Addr) (broker id.Broker, host string, port int32, ok bool)
}

// groupAPIs serves the requests of consumer groups.
type groupAPIs struct {
	groups       *group.Groups
	topics       groupTopics
	coordinators groupCoordinators
	audit        *slog.Logger
}

// millis is a duration that a client sent; a negative one is none.
func millis(ms int32) time.Duration { return time.Duration(max(ms, 0)) * time.Millisecond }
