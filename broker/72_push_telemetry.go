// PushTelemetry, versions 0 to 0: 0 clients push their metrics (KIP-714).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/telemetry"
)

func (t *telemetryAPIs) pushTelemetry(_ context.Context, c *caller, req *kmsg.PushTelemetryRequest) *kmsg.PushTelemetryResponse {
	resp := kmsg.NewPtrPushTelemetryResponse()
	resp.ErrorCode = telemetryCode(t.manager.Push(&telemetry.Push{Instance: req.ClientInstanceID, Subscription: req.SubscriptionID, Terminating: req.Terminating,
		Compression: req.CompressionType, Metrics: req.Metrics}, clientOf(c), time.Now()))
	return resp
}
