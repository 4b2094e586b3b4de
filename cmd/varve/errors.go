package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/metadata"
	"varve/s3store"
)

// Exit codes of the program.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnavailable = 4
)

// quietError ends the program with a code; its message was printed before.
type quietError struct{ code int }

func (e quietError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is about the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// lateError reports that something took too long.
type lateError struct{ text string }

func (e lateError) Error() string { return e.text }
func (e lateError) Unwrap() error { return context.DeadlineExceeded }

func latef(format string, args ...any) error { return lateError{fmt.Sprintf(format, args...)} }

// notFoundError means that what was named does not exist.
type notFoundError struct{ what string }

func (e notFoundError) Error() string { return e.what }

// unreachableError means that no broker answers.
type unreachableError struct {
	brokers string
	err     error
}

func (e *unreachableError) Error() string {
	is, cause := "Is it running there?", rootCause(e.err)
	if late := net.Error(nil); errors.As(e.err, &late) && late.Timeout() {
		is = "Is it running there, or does it hang?"
	}
	if errors.Is(e.err, context.DeadlineExceeded) {
		cause = errors.New("no answer in time")
	}
	return fmt.Sprintf("no broker answers at %s: %v\n%s --brokers or %s says where to look; 'varve dev' starts one.", e.brokers, cause, is, brokersVariable)
}
func (e *unreachableError) Unwrap() error { return e.err }

// rootCause is the innermost of a network error's many wrappings.
func rootCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// exitCode is what the shell gets to see.
func exitCode(err error) int {
	var quiet quietError
	var usage usageError
	var missing notFoundError
	var away *unreachableError
	var silent *awayError
	var kafka *kerr.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &missing):
		return exitNotFound
	case errors.As(err, &away), errors.As(err, &silent):
		return exitUnavailable
	case errors.As(err, &kafka):
		return kafkaExit(kafka)
	case isAny(err, metadata.ErrNotFound, s3store.ErrNotFound):
		return exitNotFound
	case isAny(err, context.DeadlineExceeded, kgo.ErrRecordTimeout, kgo.ErrRecordRetries, metadata.ErrUnavailable):
		return exitUnavailable
	}
	return exitFailed
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

func kafkaExit(err *kerr.Error) int {
	switch err.Code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code, kerr.GroupIDNotFound.Code:
		return exitNotFound
	}
	if err.Retriable {
		return exitUnavailable
	}
	return exitFailed
}

// sayKafka wraps an answer's error for people: what was tried, what the broker
// said, and what to do where that is known. It is nil if err is.
func sayKafka(what string, err error, message string) error {
	if err == nil {
		return nil
	}
	var kafka *kerr.Error
	if !errors.As(err, &kafka) {
		if errors.Is(err, context.DeadlineExceeded) {
			return latef("%s: no answer in time; --timeout allows more", what)
		}
		if strings.HasSuffix(err.Error(), noController) {
			return latef("%s: no agent controls the cluster at present, mostly because etcd is not reachable from the agents; 'varve cluster health' says what is wrong", what)
		}
		return fmt.Errorf("%s: %w", what, err)
	}
	if message == "" || isAny(err, kerr.SecurityDisabled, kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed) {
		message = cmp.Or(advice[kafka.Code], message)
	}
	if message == "" {
		message = strings.ToLower(kafka.Description[:1]) + strings.TrimSuffix(kafka.Description[1:], ".")
	}
	return &kafkaError{what, message, kafka}
}

// noController is the client's text when the brokers name no controller.
const noController = "the controller broker is not available"

// kafkaError is an error code in plain words.
type kafkaError struct {
	what, message string
	err           *kerr.Error
}

func (e *kafkaError) Error() string {
	return fmt.Sprintf("%s: %s (%s)", e.what, e.message, e.err.Message)
}
func (e *kafkaError) Unwrap() error { return e.err }

// advice returns what codes mean to the user of a command.
var advice = map[int16]string{
	kerr.UnknownTopicOrPartition.Code:            "there is no such topic or partition; 'varve topic list' shows what there is",
	kerr.GroupIDNotFound.Code:                    "there is no such group; 'varve group list' shows what there is",
	kerr.TopicAlreadyExists.Code:                 "it exists already; --if-not-exists accepts that",
	kerr.NonEmptyGroup.Code:                      "the group has members; stop its consumers first",
	kerr.OffsetOutOfRange.Code:                   "the offset is outside of what the partition holds",
	kerr.MessageTooLarge.Code:                    "a record is larger than the topic's max.message.bytes",
	kerr.NotEnoughReplicas.Code:                  "too few agents are alive for the topic's min.insync.replicas",
	kerr.UnknownMemberID.Code:                    "the group is in use by consumers; stop them first",
	kerr.SecurityDisabled.Code:                   "ACLs are off; with security.authorizer: acl in the settings of every agent they are on",
	kerr.TopicAuthorizationFailed.Code:           "you aren't authorized for this topic; 'varve acl explain PRINCIPAL OPERATION --topic NAME' says why",
	kerr.GroupAuthorizationFailed.Code:           "you aren't authorized for this group; 'varve acl explain PRINCIPAL OPERATION --group NAME' says why",
	kerr.ClusterAuthorizationFailed.Code:         "you aren't authorized for this on the cluster, which needs describe to read and alter to change; 'varve acl explain PRINCIPAL OPERATION --cluster' says why",
	kerr.TransactionalIDAuthorizationFailed.Code: "you aren't authorized for this transactional id; 'varve acl explain PRINCIPAL OPERATION --transactional-id ID' says why",
	kerr.RebalanceInProgress.Code:                "the group is rebalancing; stop its consumers first",
}
