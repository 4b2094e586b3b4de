package group

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"varve/coordinator"
	"varve/group/classic"
	"varve/metadata"
)

// BenchmarkCommit commits from many groups at once.
func BenchmarkCommit(b *testing.B) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := metadata.NewMemory().Open()
	writer := metadata.NewWriter(store, metadata.DefaultWriterConfig(), log, nil)
	c := Open(DefaultConfig(), store, writer, nil, nil, log, nil)
	c.OwnSlots(allSlots())
	for {
		if _, err := c.List(b.Context()); err == nil {
			break
		}
	}
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			if r := c.Commit(b.Context(), fmt.Sprintf("g%d", n%100), commitOf("", -1, "t", int64(n))); r.Err != nil {
				b.Error(r.Err)
			}
		}
	})
	c.Close(context.Background())
	if err := writer.Close(context.Background()); err != nil {
		b.Error(err)
	}
}

// BenchmarkHeartbeat is the cost of one heartbeat in a large group.
func BenchmarkHeartbeat(b *testing.B) {
	s := &script{cfg: DefaultConfig(), kept: newKept(b), auto: true}
	s.g = New("g", &s.cfg)
	for range 1000 {
		s.command("join old")
	}
	s.wait(3 * s.cfg.Members.InitialRebalanceDelay)
	b.ReportAllocs()
	for b.Loop() {
		effects := s.g.Step(s.now, classic.Heartbeat{MemberID: "c-u500", Generation: 1})
		if err := effects[0].(coordinator.Reply).Answer.(classic.HeartbeatReply).Err; err != nil {
			b.Fatal(err)
		}
	}
}
