package broker

import (
	"log/slog"

	"varve/cluster"
	"varve/internal/id"
)

// configAPIs serves the settings of topics, brokers and groups.
type configAPIs struct {
	opening *opening
	view    *cluster.View
	editor  *cluster.Editor
	self    id.Broker
	fixed   []cluster.Definition // what the configuration file decided
	level   *slog.LevelVar       // of the log; nil: it can't be changed
	log     *slog.Logger
	audit   *slog.Logger
}
