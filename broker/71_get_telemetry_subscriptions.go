// GetTelemetrySubscriptions, versions 0 to 0: 0 clients ask which metrics to push (KIP-714).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/telemetry"
)

// pushCodecs are those that a push may be compressed with, the best first: zstd, lz4, gzip, snappy.
var pushCodecs = []int8{4, 3, 1, 2}

func (t *telemetryAPIs) getTelemetrySubscriptions(_ context.Context, c *caller, req *kmsg.GetTelemetrySubscriptionsRequest) *kmsg.GetTelemetrySubscriptionsResponse {
	resp := kmsg.NewPtrGetTelemetrySubscriptionsResponse()
	a, err := t.manager.Get(req.ClientInstanceID, clientOf(c), time.Now())
	if err != nil {
		resp.ErrorCode = telemetryCode(err)
		return resp
	}
	resp.ClientInstanceID, resp.SubscriptionID, resp.AcceptedCompressionTypes = a.Instance, a.Subscription, pushCodecs
	resp.PushIntervalMillis, resp.TelemetryMaxBytes = int32(a.Interval.Milliseconds()), telemetry.MaxBytes
	resp.RequestedMetrics = a.Metrics // of cumulative values: what is lost doesn't make sums wrong
	return resp
}
