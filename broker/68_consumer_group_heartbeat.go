package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupHeartbeat refuses every member, as Kafka does while the feature
// group.version is 0. It is served for that alone: librdkafka takes a broker without this
// API for one that is away for the moment and waits for ever without a word, and gives its
// application a fatal error for this answer; it looks for version 1. franz-go falls back
// to the classic protocol after it.
func (*groupAPIs) consumerGroupHeartbeat(_ context.Context, _ groupClient, req *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	message := "Consumer groups of group.protocol=consumer (KIP-848) are not supported; use group.protocol=classic."
	resp.ErrorCode, resp.ErrorMessage = kerr.UnsupportedVersion.Code, &message
	return resp
}
