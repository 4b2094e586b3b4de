package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/kafka"
	"varve/metadata"
	"varve/partition"
	"varve/tiering/manifest"
	"varve/tiering/object"
	"varve/tiering/read"
	"varve/wal"
)

// codes maps our errors to Kafka's, the first that matches.
var codes = []struct {
	err  error
	code *kerr.Error
}{
	{partition.ErrFencedEpoch, kerr.FencedLeaderEpoch},
	{partition.ErrUnknownEpoch, kerr.UnknownLeaderEpoch},
	{partition.ErrOutOfRange, kerr.OffsetOutOfRange},
	{partition.ErrProducerFenced, kerr.InvalidProducerEpoch},
	{partition.ErrOutOfOrder, kerr.OutOfOrderSequenceNumber},
	{partition.ErrTimestamp, kerr.InvalidTimestamp},
	{partition.ErrTransactional, kerr.InvalidTxnState},
	{partition.ErrNotOwner, kerr.NotLeaderForPartition},
	{manifest.ErrNotOwner, kerr.NotLeaderForPartition},
	{read.ErrBelowStart, kerr.OffsetOutOfRange},
	// As Kafka's remote storage answers. Consumers of librdkafka and franz-go hand it to the
	// application, Java's warns at each fetch and names partition and offset. KAFKA_STORAGE_ERROR
	// is repeated in silence by all three, CORRUPT_MESSAGE by franz-go.
	{object.ErrHole, kerr.UnknownServerError},
	{kafka.ErrCorrupt, kerr.CorruptMessage},
	{kafka.ErrInvalidRecord, kerr.InvalidRecord},
	{kafka.ErrCodec, kerr.UnsupportedCompressionType},
	{kafka.ErrTooLarge, kerr.MessageTooLarge},
	{wal.ErrTooLarge, kerr.MessageTooLarge},
	{wal.ErrFull, kerr.KafkaStorageError},
	{wal.ErrClosed, kerr.NotLeaderForPartition},
	{cluster.ErrTopicExists, kerr.TopicAlreadyExists},
	{cluster.ErrUnknownTopic, kerr.UnknownTopicOrPartition},
	{cluster.ErrTopicName, kerr.InvalidTopicException},
	{cluster.ErrInternalTopic, kerr.InvalidRequest},
	{cluster.ErrPartitions, kerr.InvalidPartitions},
	{cluster.ErrUnknownConfig, kerr.InvalidConfig},
	{cluster.ErrConfigValue, kerr.InvalidConfig},
	{cluster.ErrNoAgent, kerr.InvalidReplicaAssignment},
	{metadata.ErrUnavailable, kerr.RequestTimedOut},
	{metadata.ErrConflict, kerr.RequestTimedOut},
	{context.DeadlineExceeded, kerr.RequestTimedOut},
	{context.Canceled, kerr.RequestTimedOut},
}

// codeOf gives Kafka's error for one of ours; what is unknown is a storage error,
// which clients repeat.
func codeOf(err error) *kerr.Error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return kerr.KafkaStorageError
}

// refuse says in words what goes back to the client beside code, one of Kafka's errors
// or of ours.
func refuse(code error, format string, args ...any) error {
	return cluster.Refuse(code, format, args...)
}

// said gives an error's text for a field that may be null. One of Kafka's errors that
// nobody said more about has Kafka's own text.
func said(err error) *string {
	s := err.Error()
	var k *kerr.Error
	if errors.As(err, &k) && err == error(k) {
		s = k.Description
	}
	return &s
}
