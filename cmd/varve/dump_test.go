package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/golden"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/wal"
)

// told waits for an append.
type told chan error

func (o told) Committed(id.Journal, wal.Pos, uint64) { o <- nil }
func (o told) Failed(err error)                      { o <- err }

// writtenJournal makes a directory with a journal of six entries in three files, sealed.
func writtenJournal(t *testing.T) string {
	t.Helper()
	cfg := wal.DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "journal")
	cfg.FileBytes, cfg.ChunkBytes, cfg.CacheBytes, cfg.SoftBytes, cfg.HardBytes, cfg.ReserveBytes, cfg.Direct = 128<<10, 64<<10, 256<<10, 1<<20, 1<<30, 0, false
	s, err := wal.Open(cfg, wal.Options{FS: vfs.OS{}, Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	j := id.Journal{Writer: 12, Seq: 1}
	if err := s.Join(j, wal.Membership{FileBytes: s.FileBytes()}); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(j, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 40<<10)
	crc := crc32.Checksum(body[wal.BodySumFrom:], crc32.MakeTable(crc32.Castagnoli))
	for i := range int64(6) {
		done := make(told, 1)
		r := wal.Record{Partition: id.Partition{Topic: id.Topic{1}, Index: 3}, Epoch: 2, Base: 10 * i, LastDelta: 9, Count: 10, BodyCRC: crc, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, MaxTime: 1_700_000_000_000 + i}
		for room := w.Room(); ; room = w.Room() {
			err := w.Append(&r, body, done)
			if err == nil {
				break
			}
			if !wal.IsBusy(err) || w.Wait(t.Context(), room) != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := s.Fence(j, 5); err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(j, 6); err != nil {
		t.Fatal(err)
	}
	s.Close()
	next := filepath.Join(cfg.Dir, "12-1.00000003.wal") // may be prepared already, or not yet
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return filepath.Dir(cfg.Dir)
}

func TestDumpJournal(t *testing.T) {
	dir := writtenJournal(t)
	said := func(flags string) string {
		return strings.ReplaceAll(must(t, "", "dump journal "+dir+flags), dir, "DATA")
	}
	golden.Check(t, "testdata/dump-journal.txt", said("")+"\n"+said(" --appends")+"\n"+said("/journal --journal 12-1 --json"))
	wants(t, command(t, "", "dump journal "+dir+" --journal 7-1"), exitNotFound, "no such journals")
	wants(t, command(t, "", "dump journal "+dir+"/nothing"), exitUsage, "nothing")
	wants(t, command(t, "", "dump journal "+dir+" --entries --json"), exitUsage, "files only")
	if err := os.Remove(filepath.Join(dir, "journal", "12-1.00000001.wal")); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "dump journal "+dir), exitFailed, "entries 3 to 4 are missing before this file", "1 problem was found")
}

func TestDumpObjectFile(t *testing.T) {
	object := filepath.Join("..", "..", "tiering", "object", "testdata", "object-v1.bin")
	golden.Check(t, "testdata/dump-object.txt", must(t, "", "dump object --batches "+object))
	b, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	bad := filepath.Join(t.TempDir(), "1-1")
	if err := os.WriteFile(bad, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "dump object --batches "+bad), exitFailed, bad)
	wants(t, command(t, "", "dump object "+t.TempDir()), exitUsage, "is a directory")
	wants(t, command(t, "", "dump object 1-1"), exitUsage, "store.driver")
	wants(t, command(t, "", "dump object 1-1 --data x --config y"), exitUsage, "exclude each other")
}

func TestDumpOfRunningAndStoppedAgent(t *testing.T) {
	a := startAgent(t)
	must(t, "", "topic create orders -p 2")
	must(t, numbers(100), "produce orders -p 1")
	before := decode[[]headDump](t, must(t, "", "dump head orders --json --data "+a.dir))
	if len(before) != 2 || before[1].Broker != 1 || len(before[1].Chain) != 1 || before[0].Partition != 0 {
		t.Errorf("while it runs %+v", before)
	}
	wants(t, command(t, "", "dump journal "+a.dir), exitOK, "journal 1-1")
	a.stop() // uploads
	heads := decode[[]headDump](t, must(t, "", "dump head orders:1 --json --data "+a.dir))
	if len(heads) != 1 || heads[0].TieredEnd != 100 || len(heads[0].Slices) != 1 || heads[0].Slices[0].End != 100 {
		t.Fatalf("after it stopped %+v", heads)
	}
	wants(t, command(t, "", "dump head orders:1 --data "+a.dir), exitOK, "tiered up to 100", heads[0].Slices[0].Key)
	key := heads[0].Slices[0].Key
	name := key[strings.LastIndexByte(key, '/')+1:]
	for _, which := range []string{key, name} {
		wants(t, command(t, "", fmt.Sprintf("dump object %s --batches --data %s", which, a.dir)), exitOK, `slice "orders"`, "offsets 0 to 100", "batch 0 to ")
	}
	wants(t, command(t, "", "dump object varve-cluster --data "+a.dir), exitOK, "by agent 1")
	wants(t, command(t, "", "dump object 99-1 --data "+a.dir), exitNotFound, "neither a file 99-1 nor an object data/")
	wants(t, command(t, "", "dump head nope --data "+a.dir), exitNotFound, "there is no topic nope")
	wants(t, command(t, "", "dump head orders:7 --data "+a.dir), exitNotFound, "no such partition")
	wants(t, command(t, "", "dump head orders --data "+t.TempDir()), exitUsage, "no data directory")
}
