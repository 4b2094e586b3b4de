package broker

import (
	"cmp"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/coordinator"
	"varve/group"
	"varve/group/classic"
	"varve/group/offsets"
	"varve/kafka"
	"varve/metadata"
	"varve/partition"
)

// codeTable maps our errors to Kafka's: the first that matches counts.
type codeTable []struct {
	err  error
	code *kerr.Error
}

// of returns Kafka's error for one of ours. An error that isn't in the table is otherwise.
func (t codeTable) of(err error, otherwise *kerr.Error) *kerr.Error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k
	}
	for _, c := range t {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return otherwise
}

// codes are those of requests about topics and their records.
var codes = codeTable{
	{partition.ErrFencedEpoch, kerr.FencedLeaderEpoch},
	{partition.ErrUnknownEpoch, kerr.UnknownLeaderEpoch},
	{partition.ErrOutOfRange, kerr.OffsetOutOfRange},
	{partition.ErrProducerFenced, kerr.InvalidProducerEpoch},
	{partition.ErrOutOfOrder, kerr.OutOfOrderSequenceNumber},
	{partition.ErrTimestamp, kerr.InvalidTimestamp},
	{partition.ErrTransactional, kerr.InvalidTxnState},
	{partition.ErrNotOwner, kerr.NotLeaderForPartition},
	// As Kafka's remote storage answers. Consumers of librdkafka and franz-go hand it to the
	// application, Java's warns at each fetch and names partition and offset. KAFKA_STORAGE_ERROR
	// is repeated in silence by all three, CORRUPT_MESSAGE by franz-go.
	{partition.ErrHole, kerr.UnknownServerError},
	{kafka.ErrCorrupt, kerr.CorruptMessage},
	{kafka.ErrInvalidRecord, kerr.InvalidRecord},
	{kafka.ErrCodec, kerr.UnsupportedCompressionType},
	{kafka.ErrTooLarge, kerr.MessageTooLarge},
	{partition.ErrTooLarge, kerr.MessageTooLarge},
	{partition.ErrFull, kerr.KafkaStorageError},
	{cluster.ErrTopicExists, kerr.TopicAlreadyExists},
	{cluster.ErrUnknownTopic, kerr.UnknownTopicOrPartition},
	{cluster.ErrTopicName, kerr.InvalidTopicException},
	{cluster.ErrInternalTopic, kerr.InvalidRequest},
	{cluster.ErrPartitions, kerr.InvalidPartitions},
	{cluster.ErrUnknownConfig, kerr.InvalidConfig},
	{cluster.ErrConfigValue, kerr.InvalidConfig},
	{cluster.ErrTooManyACLs, kerr.PolicyViolation},
	{cluster.ErrTooManyQuotas, kerr.PolicyViolation},
	{cluster.ErrTooManyTokens, kerr.PolicyViolation},
	{cluster.ErrUnknownToken, kerr.DelegationTokenNotFound},
	{cluster.ErrLevel, kerr.InvalidUpdateVersion},
	{cluster.ErrNoAgent, kerr.InvalidReplicaAssignment},
	{metadata.ErrUnavailable, kerr.RequestTimedOut},
	{metadata.ErrConflict, kerr.RequestTimedOut},
	{context.DeadlineExceeded, kerr.RequestTimedOut},
	{context.Canceled, kerr.RequestTimedOut},
}

// codeOf returns Kafka's error for one of ours. One that isn't known is a storage error,
// after which clients try again.
func codeOf(err error) *kerr.Error { return codes.of(err, kerr.KafkaStorageError) }

// groupCodes are those of requests about groups. While etcd doesn't answer it is
// COORDINATOR_LOAD_IN_PROGRESS: clients try again after a while, at the same agent. With
// COORDINATOR_NOT_AVAILABLE they would drop the connection's requests, heartbeats among
// them, and look for another coordinator.
var groupCodes = codeTable{
	{coordinator.ErrNotCoordinator, kerr.NotCoordinator},
	{coordinator.ErrLoading, kerr.CoordinatorLoadInProgress},
	{coordinator.ErrUnavailable, kerr.CoordinatorNotAvailable},
	{group.ErrInvalidGroup, kerr.InvalidGroupID},
	{group.ErrGroupNotFound, kerr.GroupIDNotFound},
	{group.ErrNonEmpty, kerr.NonEmptyGroup},
	{classic.ErrUnknownMember, kerr.UnknownMemberID},
	{classic.ErrFenced, kerr.FencedInstanceID},
	{classic.ErrMemberIDRequired, kerr.MemberIDRequired},
	{classic.ErrIllegalGeneration, kerr.IllegalGeneration},
	{classic.ErrRebalance, kerr.RebalanceInProgress},
	{classic.ErrInconsistentProtocol, kerr.InconsistentGroupProtocol},
	{classic.ErrSessionTimeout, kerr.InvalidSessionTimeout},
	{classic.ErrMaxSize, kerr.GroupMaxSizeReached},
	{offsets.ErrMetadataTooLarge, kerr.OffsetMetadataTooLarge},
	{offsets.ErrTooLarge, kerr.InvalidCommitOffsetSize},
	{group.ErrSubscribed, kerr.GroupSubscribedToTopic},
	{classic.ErrRecordTooLarge, kerr.UnknownServerError},
	{coordinator.ErrAway, kerr.CoordinatorLoadInProgress},
	{metadata.ErrUnavailable, kerr.CoordinatorLoadInProgress},
	{context.Canceled, kerr.CoordinatorNotAvailable},
	{context.DeadlineExceeded, kerr.CoordinatorLoadInProgress},
}

// groupCode returns Kafka's code for an error of the coordinator, 0 for none. One that
// isn't known comes from the store, and clients try again.
func groupCode(err error) int16 {
	if err == nil {
		return 0
	}
	return groupCodes.of(err, kerr.CoordinatorNotAvailable).Code
}

// refuse returns in words what goes back to the client beside code, one of Kafka's errors
// or of ours.
func refuse(code error, format string, args ...any) error {
	return cluster.Refuse(code, format, args...)
}

// said returns an error's text for a field that may be null. One of Kafka's errors without a
// text of its own has Kafka's own text.
func said(err error) *string {
	s := err.Error()
	var k *kerr.Error
	if errors.As(err, &k) && err == error(k) {
		s = cmp.Or(refusalTexts[k], k.Description)
	}
	return &s
}

// refusalTexts are Kafka's texts for callers without rights; the client library has older ones.
var refusalTexts = map[*kerr.Error]string{
	kerr.TopicAuthorizationFailed:           "Topic authorization failed.",
	kerr.GroupAuthorizationFailed:           "Group authorization failed.",
	kerr.ClusterAuthorizationFailed:         "Cluster authorization failed.",
	kerr.TransactionalIDAuthorizationFailed: "Transactional Id authorization failed.",
	kerr.DelegationTokenAuthorizationFailed: "Delegation Token authorization failed.",
}
