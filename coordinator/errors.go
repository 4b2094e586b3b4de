package coordinator

import (
	"errors"

	"varve/metadata"
)

// What a coordinator answers a request with if its machine doesn't.
var (
	// ErrNotCoordinator: another agent owns the slot; look it up again.
	ErrNotCoordinator = errors.New("this agent is not the coordinator")
	// ErrLoading: what is asked for is being read; retry.
	ErrLoading = errors.New("the coordinator is loading")
	// ErrAway: the metadata store doesn't answer; ask the same coordinator again.
	ErrAway = errors.New("the metadata store does not answer")
	// ErrUnavailable: the answer can't be had or made durable now; retry.
	ErrUnavailable = errors.New("the coordinator is not available")
)

// answerTo returns what requests are answered that wait for a failed write.
func answerTo(err error) error {
	if errors.Is(err, metadata.ErrConflict) {
		return ErrNotCoordinator
	}
	return ErrUnavailable
}
