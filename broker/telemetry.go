package broker

import (
	"errors"
	"net"
	"sync"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/cluster"
	"varve/metadata/schema"
	"varve/telemetry"
)

// telemetryAPIs serves the metrics that clients push (KIP-714).
type telemetryAPIs struct{ manager *telemetry.Manager }

func newTelemetry(deps *Deps) *telemetryAPIs {
	s := &subscriptions{view: deps.View}
	return &telemetryAPIs{telemetry.NewManager(s.now, func() uuid.UUID { return uuid.Must(uuid.NewRandomFromReader(deps.Random)) }, deps.ClientMetrics)}
}

// subscriptions are those of the cluster, parsed once for each change.
type subscriptions struct {
	view *cluster.View
	mu   sync.Mutex
	read <-chan struct{} // closed when what was parsed may be old
	all  []*telemetry.Subscription
}

// now returns the subscriptions as this agent sees them.
func (s *subscriptions) now() []*telemetry.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read != nil {
		select {
		case <-s.read:
		default:
			return s.all
		}
	}
	s.read = s.view.Changed()
	s.all = nil
	for _, settings := range cluster.ClientMetrics(s.view) {
		if one, err := telemetry.Parse(settings); err == nil { // it was checked when it was stored
			s.all = append(s.all, one)
		}
	}
	return s.all
}

// checkClientMetrics refuses settings that a subscription can't have.
func checkClientMetrics(s schema.Settings) error {
	if _, err := telemetry.Parse(s); err != nil {
		return refuse(kerr.InvalidRequest, "%s", err)
	}
	for name, value := range s {
		if d := cluster.Find(cluster.ClientMetricsDefinitions(), name); d != nil {
			s[name] = d.Canonical(value)
		}
	}
	return nil
}

// clientOf describes a caller for subscriptions.
func clientOf(c *caller) *telemetry.Client {
	host, port, err := net.SplitHostPort(c.addr)
	if err != nil {
		host = c.addr
	}
	return &telemetry.Client{ID: c.clientID, SoftwareName: c.software, SoftwareVersion: c.version, Host: host, Port: port}
}

// telemetryCode returns Kafka's code of what is wrong with a request.
func telemetryCode(err error) int16 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, telemetry.ErrTooEarly):
		return kerr.ThrottlingQuotaExceeded.Code
	case errors.Is(err, telemetry.ErrUnknownSubscription):
		return kerr.UnknownSubscriptionID.Code
	case errors.Is(err, telemetry.ErrCompression):
		return kerr.UnsupportedCompressionType.Code
	case errors.Is(err, telemetry.ErrTooLarge):
		return kerr.TelemetryTooLarge.Code
	case errors.Is(err, telemetry.ErrMetrics):
		return kerr.InvalidRecord.Code
	}
	return kerr.InvalidRequest.Code
}
