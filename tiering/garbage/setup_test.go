package garbage

import (
	"log/slog"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/retain"
	"varve/tiering/tiertest"
)

// remember is how long a producer is, in ms.
const remember = 600_000

func (w *world) retention(keep *retain.Limits, dropped func([]schema.Object)) *retain.Retention {
	return retain.New(retain.DefaultConfig(), retain.Deps{Store: w.Store, Reader: w.reader, IDs: w.IDs, Sources: tiertest.List[retain.Source](w.World),
		Limits: func(id.Partition) (retain.Limits, bool) { return *keep, true }, Topic: func(id.Topic) string { return "t" }, Remember: func(id.Partition) int64 { return remember },
		Clock: w.Now.Millis, Dropped: dropped, Log: slog.New(slog.DiscardHandler)})
}
