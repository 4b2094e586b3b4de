package broker

import (
	"testing"

	"varve/internal/id"
)

// TestReplicationFactorIsDescribed: tools are told how many agents keep a record.
func TestReplicationFactorIsDescribed(t *testing.T) {
	cfg := DefaultConfig()
	for _, s := range fixedSettings(&cfg, &Deps{Self: id.Broker(7), Replicas: 3}) {
		if s.Name == "default.replication.factor" && s.Default == "3" {
			return
		}
	}
	t.Error("default.replication.factor isn't 3")
}
