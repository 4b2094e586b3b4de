package classic

import "errors"

// What a membership answers a request with; each is one of Kafka's errors.
var (
	// ErrUnknownMember: the group has no such member; join again.
	ErrUnknownMember = errors.New("the member is not in the group")
	// ErrFenced: another member has taken over the instance id (KIP-345).
	ErrFenced = errors.New("the instance id belongs to another member")
	// ErrMemberIDRequired: join again with the id that comes with this (KIP-394).
	ErrMemberIDRequired = errors.New("the member must join with the given id")
	// ErrIllegalGeneration: the generation is not the group's.
	ErrIllegalGeneration = errors.New("the generation is not the group's current one")
	// ErrRebalance: the group rebalances; join again.
	ErrRebalance = errors.New("the group is rebalancing")
	// ErrInconsistentProtocol: the member shares no protocol with the group.
	ErrInconsistentProtocol = errors.New("the protocols are not consistent with the group's")
	// ErrSessionTimeout: the session timeout is outside the configured bounds.
	ErrSessionTimeout = errors.New("the session timeout is out of bounds")
	// ErrMaxSize: the group has as many members as it may.
	ErrMaxSize = errors.New("the group has reached its maximum size")
	// ErrRecordTooLarge: the group's members outgrow what one key may hold.
	ErrRecordTooLarge = errors.New("the group is too large to be stored")
)
