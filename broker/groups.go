package broker

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/group"
	"varve/internal/id"
	"varve/metadata"
)

// groupTopics finds topics by name or id (opening).
type groupTopics interface {
	topic(ctx context.Context, byID bool, name string, topic id.Topic) (*cluster.Topic, error)
}

// groupCoordinators knows which agent coordinates a group, and its address for
// clients of a listener.
type groupCoordinators interface {
	Coordinator(group, listener string, reached net.Addr) (broker id.Broker, host string, port int32, ok bool)
}

// groupAPIs serves the requests of consumer groups.
type groupAPIs struct {
	groups       *group.Coordinator
	topics       groupTopics
	coordinators groupCoordinators
}

// groupClient is who sends a request.
type groupClient struct {
	id       string
	host     string // its address without port
	listener string
	reached  net.Addr // at which it reached this agent
}

// groupCodes maps the coordinator's errors to Kafka's. While etcd doesn't answer it is
// COORDINATOR_LOAD_IN_PROGRESS: clients try again after a while, at the same agent. With
// COORDINATOR_NOT_AVAILABLE they would drop the connection's requests, heartbeats among
// them, and look for another coordinator.
var groupCodes = []struct {
	err  error
	code *kerr.Error
}{
	{group.ErrNotCoordinator, kerr.NotCoordinator},
	{group.ErrLoading, kerr.CoordinatorLoadInProgress},
	{group.ErrUnavailable, kerr.CoordinatorNotAvailable},
	{group.ErrInvalidGroup, kerr.InvalidGroupID},
	{group.ErrGroupNotFound, kerr.GroupIDNotFound},
	{group.ErrNonEmpty, kerr.NonEmptyGroup},
	{group.ErrUnknownMember, kerr.UnknownMemberID},
	{group.ErrFenced, kerr.FencedInstanceID},
	{group.ErrMemberIDRequired, kerr.MemberIDRequired},
	{group.ErrIllegalGeneration, kerr.IllegalGeneration},
	{group.ErrRebalance, kerr.RebalanceInProgress},
	{group.ErrInconsistentProtocol, kerr.InconsistentGroupProtocol},
	{group.ErrSessionTimeout, kerr.InvalidSessionTimeout},
	{group.ErrMaxSize, kerr.GroupMaxSizeReached},
	{group.ErrMetadataTooLarge, kerr.OffsetMetadataTooLarge},
	{group.ErrOffsetsTooLarge, kerr.InvalidCommitOffsetSize},
	{group.ErrSubscribed, kerr.GroupSubscribedToTopic},
	{group.ErrRecordTooLarge, kerr.UnknownServerError},
	{group.ErrAway, kerr.CoordinatorLoadInProgress},
	{metadata.ErrUnavailable, kerr.CoordinatorLoadInProgress},
	{context.Canceled, kerr.CoordinatorNotAvailable},
	{context.DeadlineExceeded, kerr.CoordinatorLoadInProgress},
}

// groupCode is Kafka's code for an error of the coordinator, 0 for none. What
// is not known is the store's, and retriable.
func groupCode(err error) int16 {
	if err == nil {
		return 0
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	for _, c := range groupCodes {
		if errors.Is(err, c.err) {
			return c.code.Code
		}
	}
	return kerr.CoordinatorNotAvailable.Code
}

// millis is a duration that a client sent; a negative one is none.
func millis(ms int32) time.Duration { return time.Duration(max(ms, 0)) * time.Millisecond }
