package broker

import (
	"log/slog"

	"varve/cluster"
)

// leaderAPIs serves requests about which agents lead partitions: elections and
// reassignments.
type leaderAPIs struct {
	opening   *opening
	directory *directory
	view      *cluster.View
	editor    *cluster.Editor
	audit     *slog.Logger
}
