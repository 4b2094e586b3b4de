package group

import "errors"

// What a group answers a request with, besides the errors of its coordinator and its
// parts; each is one of Kafka's errors.
var (
	// ErrInvalidGroup: the group's name can't be used for this request.
	ErrInvalidGroup = errors.New("the group id is invalid")
	// ErrGroupNotFound: there is no such group.
	ErrGroupNotFound = errors.New("the group does not exist")
	// ErrNonEmpty: the group has members.
	ErrNonEmpty = errors.New("the group is not empty")
	// ErrSubscribed: the group reads the topic, whose offsets stay.
	ErrSubscribed = errors.New("the group is subscribed to the topic")
)
