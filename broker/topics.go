package broker

import (
	"log/slog"

	"varve/cluster"
	"varve/internal/chance"
	"varve/internal/id"
)

// topicAPIs makes, changes and deletes topics.
type topicAPIs struct {
	opening           *opening
	view              *cluster.View
	editor            *cluster.Editor
	random            *chance.Source
	self              id.Broker
	defaultPartitions int32
	log               *slog.Logger
	audit             *slog.Logger
}
