package metadata

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMapError(t *testing.T) {
	other := errors.New("some other")
	for _, c := range []struct{ in, want error }{
		{nil, nil},
		{rpctypes.ErrNoLeader, ErrUnavailable},
		{rpctypes.ErrGRPCNoLeader, ErrUnavailable},
		{rpctypes.ErrLeaderChanged, ErrUnavailable},
		{rpctypes.ErrTimeout, ErrUnavailable},
		{status.Error(codes.Unavailable, "connection refused"), ErrUnavailable},
		{status.Error(codes.DeadlineExceeded, "slow"), ErrUnavailable},
		{context.DeadlineExceeded, ErrUnavailable},
		{rpctypes.ErrRequestTooLarge, ErrTooLarge},
		{status.Error(codes.ResourceExhausted, "trying to send message larger than max"), ErrTooLarge},
		{rpctypes.ErrTooManyRequests, ErrUnavailable},
		{rpctypes.ErrNoSpace, ErrUnavailable},
		{rpctypes.ErrLeaseNotFound, ErrSessionLost},
		{rpctypes.ErrPermissionDenied, ErrDenied},
		{rpctypes.ErrInvalidAuthToken, ErrDenied},
		{fmt.Errorf("wrapped: %w", rpctypes.ErrAuthFailed), ErrDenied},
		{ErrConflict, ErrConflict},
		{other, other},
	} {
		got := mapError(context.Background(), c.in)
		if !errors.Is(got, c.want) {
			t.Errorf("%v becomes %v, want %v", c.in, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := mapError(ctx, rpctypes.ErrNoLeader); !errors.Is(got, context.Canceled) || errors.Is(got, ErrUnavailable) {
		t.Errorf("after the caller gave up: %v", got)
	}
}
