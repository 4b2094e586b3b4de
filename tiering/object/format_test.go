package object

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/id"
	"varve/kafka"
	"varve/metadata/schema"
	"varve/s3store"
)

var update = flag.Bool("update", false, "write golden files anew")

// goldenObject has two topics, three slices, raw and compressed blocks, epochs,
// producers and an aborted transaction.
func goldenObject(t testing.TB) []byte {
	t.Helper()
	b := NewBuilder(nil, 0, 0, 1_700_000_000_000, func() bool { return true }, NewCompressor(1))
	slice := func(p id.Partition, topic string, base int64, producers []Producer, aborted []Aborted, values ...string) {
		b.Begin(p, topic)
		for i, v := range values {
			codec := kafka.None
			if topic == "clicks" && i == 1 {
				codec = kafka.Gzip
			}
			batch, err := kafka.Build(codec, []kafka.NewRecord{{Timestamp: 1000 + base, Value: []byte(v)}, {Timestamp: 900 + base, Key: []byte("k")}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			batch.SetBaseOffset(base)
			batch.SetLeaderEpoch(int32(3 + i/2))
			meta := Batch{Base: base, End: base + 2, Size: int32(len(batch)), MaxTime: batch.MaxTimestamp()}
			if err := b.addCopy(&meta, batch); err != nil {
				t.Fatal(err)
			}
			base += 2
		}
		b.End(producers, aborted)
	}
	a, z := id.Topic{0xaa, 1}, id.Topic{0xbb, 2}
	slice(id.Partition{Topic: a, Index: 0}, "orders", 100, []Producer{{ID: 77, Epoch: 2, Timestamp: 1099, Batches: []ProducerBatch{{0, 1, 100}, {2, 3, 102}}}},
		[]Aborted{{ProducerID: 77, First: 90, Last: 101}, {ProducerID: 78, First: 10, Last: 99}}, "one", "two", "three", "four")
	slice(id.Partition{Topic: z, Index: 5}, "clicks", 0, []Producer{}, nil, strings.Repeat("click ", 200), strings.Repeat("clack ", 200))
	slice(id.Partition{Topic: a, Index: 1}, "orders", 7, nil, nil, "last")
	return bytes.Clone(b.Finish(schema.Object{Writer: 12, Seq: 345}))
}

// Objects outlive every release: what version 1 wrote must be written and read so
// for ever. The compressor may change how it compresses, so the file is compared
// by what it means, and byte for byte but for the compressed block.
func TestGoldenObject(t *testing.T) {
	path := filepath.Join("testdata", "object-v1.bin")
	made := goldenObject(t)
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	show := func(object []byte) string {
		var text strings.Builder
		if err := Dump(&text, bytes.NewReader(object), int64(len(object)), DumpOptions{Blocks: true, Batches: true}); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	got := show(golden)
	text := filepath.Join("testdata", "object-v1.txt")
	if *update {
		if err := os.WriteFile(text, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the golden object now reads as\n%s", got)
	}
	// Up to the first compressed block, written is what was written then.
	f, err := readFooter("golden", int64(len(golden)), func(at, n int64) ([]byte, error) { return golden[at : at+n], nil })
	if err != nil {
		t.Fatal(err)
	}
	same := f.Slices[0].IndexAt + int64(f.Slices[0].IndexLen)
	if !bytes.Equal(made[:same], golden[:same]) {
		t.Error("the first slice is written otherwise than in version 1")
	}
}

// A damaged byte anywhere is found.
func TestDamageIsFound(t *testing.T) {
	object := goldenObject(t)
	for at := range object {
		if at >= 12 && at < 16 {
			continue // zero, for later versions
		}
		damaged := bytes.Clone(object)
		damaged[at] ^= 0x40
		if err := Dump(new(strings.Builder), bytes.NewReader(damaged), int64(len(damaged)), DumpOptions{Blocks: true, Batches: true}); err == nil {
			t.Fatalf("byte %d was damaged and nothing noticed", at)
		}
	}
	for n := range object {
		if err := Dump(new(strings.Builder), bytes.NewReader(object[:n]), int64(n), DumpOptions{}); err == nil {
			t.Fatalf("an object cut to %d bytes passed", n)
		}
	}
}

func TestReadFooter(t *testing.T) {
	store := s3store.NewMemory()
	object := goldenObject(t)
	o := schema.Object{Writer: 12, Seq: 345}
	if err := store.Put(t.Context(), Key(o), bytes.NewReader(object)); err != nil {
		t.Fatal(err)
	}
	f, err := ReadFooter(t.Context(), store, Key(o), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Object != o || f.Created != 1_700_000_000_000 || len(f.Slices) != 3 || f.Slices[1].Topic != "clicks" || f.Slices[2].Partition.Index != 1 {
		t.Errorf("footer is %+v", f)
	}
	var corrupt *CorruptError
	if _, err := ReadFooter(t.Context(), store, Key(o), int64(len(object)+1)); !errors.As(err, &corrupt) {
		t.Errorf("a wrong size gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadFooter(ctx, store, Key(o), int64(len(object))); err == nil || errors.As(err, &corrupt) {
		t.Errorf("an ended context gives %v", err)
	}
}

// A footer that is longer than the first read of the tail takes a second one.
func TestReadLongFooter(t *testing.T) {
	f := &Footer{Object: schema.Object{Writer: 1, Seq: 2}}
	for i := range 5000 {
		f.Slices = append(f.Slices, FooterSlice{id.Partition{Topic: id.Topic{byte(i), byte(i >> 8)}, Index: int32(i)}, "a-topic-name", schema.Slice{Object: f.Object, Base: int64(i), End: int64(i) + 9}})
	}
	b := appendHeader(nil)
	at := len(b)
	b = appendFooter(b, f)
	b = appendTrailer(b, int64(at), len(b)-at)
	reads := 0
	got, err := readFooter("x", int64(len(b)), func(at, n int64) ([]byte, error) { reads++; return b[at : at+n], nil })
	if err != nil || reads != 2 || len(got.Slices) != 5000 || got.Slices[4321] != f.Slices[4321] {
		t.Errorf("after %d reads: %v", reads, err)
	}
}

func TestKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	spread := map[string]bool{}
	for range 2000 {
		o := schema.Object{Writer: id.Incarnation(rng.Uint64() >> rng.IntN(64)), Seq: rng.Uint64() >> rng.IntN(64)}
		if got, page, ok := ParseKey(Key(o)); !ok || page || got != o {
			t.Fatalf("%q reads as %v, %v, %v", Key(o), got, page, ok)
		}
		if got, page, ok := ParseKey(PageKey(o)); !ok || !page || got != o {
			t.Fatalf("%q reads as %v, %v, %v", PageKey(o), got, page, ok)
		}
		spread[Key(o)[:len(PrefixData)+2]] = true
	}
	if len(spread) < 250 {
		t.Errorf("2000 objects lie in %d of 256 folders", len(spread))
	}
	good := Key(schema.Object{Writer: 12, Seq: 345})
	for _, bad := range []string{"", "data/", good + "x", "x" + good, strings.Replace(good, "12-", "012-", 1), strings.Replace(good, "data/", "data/0", 1), "data/zz/12-345", "12-345"} {
		if _, _, ok := ParseKey(bad); ok {
			t.Errorf("%q passed for a key", bad)
		}
	}
}

// Compression stays away from what it can't shrink.
func TestSqueeze(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	noise := make([]byte, 300<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	if _, ok := squeeze(NewCompressor(1), nil, noise); ok {
		t.Error("noise was compressed")
	}
	text := bytes.Repeat([]byte("all work and no play "), 10000)
	small, ok := squeeze(NewCompressor(1), nil, text)
	if !ok || len(small) > len(text)/10 {
		t.Errorf("text of %d bytes became %d: %v", len(text), len(small), ok)
	}
}

// Records with the broker's timestamps have those of the append, not the client's.
func TestMinTimeOfLogAppendTime(t *testing.T) {
	b := NewBuilder(nil, 0, 0, 0, func() bool { return false }, NewCompressor(1))
	b.Begin(id.Partition{}, "t")
	for i, appended := range []int64{9000, 8000} {
		batch, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: 100}, {Timestamp: 101}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.SetMaxTimestamp(appended, true)
		batch.SetBaseOffset(int64(2 * i))
		meta := Batch{Base: int64(2 * i), End: int64(2*i + 2), Size: int32(len(batch)), MaxTime: batch.MaxTimestamp()}
		if err := b.addCopy(&meta, batch); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.End(nil, nil); s.MinTime != 8000 || s.MaxTime != 9000 {
		t.Errorf("times %d to %d", s.MinTime, s.MaxTime)
	}
}

// What a newer release wrote isn't known here; it isn't lost either.
func TestNewerVersionIsNoLoss(t *testing.T) {
	b := appendState(nil, []Producer{{ID: 1}})
	b[len(magicState)]++
	binary.LittleEndian.PutUint32(b[len(b)-4:], kafka.Checksum(b[:len(b)-4]))
	if _, err := DecodeState(b); !errors.Is(err, ErrVersion) {
		t.Errorf("a newer state: %v", err)
	}
	h := appendHeader(nil)
	h[8]++
	if err := checkHeader(h); !errors.Is(err, ErrVersion) {
		t.Errorf("a newer object: %v", err)
	}
}

// addCopy adds a batch that is elsewhere than in the builder's room.
func (b *Builder) addCopy(meta *Batch, batch []byte) error {
	b.room = batch
	return b.Add(meta, 0)
}
