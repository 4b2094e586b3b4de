package metadata

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// sentinels are what etcd's own errors mean to callers.
var sentinels = []struct {
	etcd error
	ours error
}{
	{rpctypes.ErrLeaseNotFound, ErrSessionLost},
	{rpctypes.ErrRequestTooLarge, ErrTooLarge},
	{rpctypes.ErrTooManyOps, ErrTooLarge},
	{rpctypes.ErrAuthFailed, ErrDenied},
	{rpctypes.ErrPermissionDenied, ErrDenied},
	{rpctypes.ErrUserEmpty, ErrDenied},
	{rpctypes.ErrInvalidAuthToken, ErrDenied},
	{rpctypes.ErrAuthOldRevision, ErrUnavailable},
	{rpctypes.ErrNoLeader, ErrUnavailable},
	{rpctypes.ErrNotCapable, ErrUnavailable},
	{rpctypes.ErrStopped, ErrUnavailable},
	{rpctypes.ErrTimeout, ErrUnavailable},
	{rpctypes.ErrTimeoutDueToLeaderFail, ErrUnavailable},
	{rpctypes.ErrTimeoutDueToConnectionLost, ErrUnavailable},
	{rpctypes.ErrUnhealthy, ErrUnavailable},
	{rpctypes.ErrTooManyRequests, ErrUnavailable},
	{rpctypes.ErrLeaderChanged, ErrUnavailable},
	{rpctypes.ErrNoSpace, ErrUnavailable},
	{rpctypes.ErrCorrupt, ErrUnavailable},
}

// mapError turns an error of etcd's client into one of the sentinels, keeping
// its text. ctx is the caller's: its own end is returned as such, whereas the
// end of the request's time means that etcd is away.
func mapError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, s := range sentinels {
		// The client loses the code of some errors, never the text.
		if errors.Is(err, s.etcd) || strings.Contains(err.Error(), s.etcd.Error()) {
			return fmt.Errorf("%w: %v", s.ours, err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %v", ErrTooLarge, err)
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%w: %v", ErrDenied, err)
	}
	return err
}

// codeOf is the gRPC code of an error, in whichever of etcd's two wrappings.
func codeOf(err error) codes.Code {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code()
	}
	return status.Code(err)
}

// kindOf names an error for the metrics.
func kindOf(err error) string {
	kinds := []struct {
		err  error
		name string
	}{
		{ErrNotFound, "not_found"}, {ErrConflict, "conflict"}, {ErrUnavailable, "unavailable"},
		{ErrSessionLost, "session_lost"}, {ErrTooLarge, "too_large"}, {ErrDenied, "denied"},
		{ErrClosed, "closed"}, {context.Canceled, "canceled"}, {context.DeadlineExceeded, "deadline"},
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}
