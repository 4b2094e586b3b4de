package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// thousands are lines of 1,000 bytes, as seq -f %01000g writes them.
func thousands(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%01000d\n", i)
	}
	return b.String()
}

// noise is lines of base64 of random bytes.
func noise(lines, bytes int) string {
	r := rand.NewChaCha8([32]byte{1})
	raw := make([]byte, bytes)
	var b strings.Builder
	for range lines {
		_, _ = r.Read(raw)
		b.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	}
	return b.String()
}

// Any file can be loaded into any topic that takes its lines, with every codec: batches
// are never larger than the topic takes.
func TestProduceLoadsAnyFile(t *testing.T) {
	startAgent(t)
	for name, c := range map[string]struct{ config, flags, in string }{
		"default":                 {"", "", thousands(5000)},
		"zstd of noise":           {"", "-z zstd", noise(4000, 600)},
		"gzip of noise":           {"", "-z gzip", noise(3000, 600)},
		"lz4 of long noise":       {"", "-z lz4", noise(40, 90_000)},
		"snappy":                  {"", "-z snappy", thousands(5000)},
		"small batches":           {"--config max.message.bytes=5000", "", thousands(300)},
		"small batches of noise":  {"--config max.message.bytes=5000", "-z zstd", noise(300, 600)},
		"smaller than the client": {"--config max.message.bytes=200", "", strings.Repeat(strings.Repeat("x", 90)+"\n", 50)},
		"recompressed":            {"--config max.message.bytes=20000 --config compression.type=zstd", "-z none", noise(300, 600)},
		"large topic, large line": {"--config max.message.bytes=3000000", "", thousands(10) + strings.Repeat("y", 2_900_000) + "\n" + thousands(10)},
		"a line that shrinks":     {"", "-z zstd", thousands(2000) + strings.Repeat("z", 6_000_000) + "\n" + thousands(10)},
		"exactly the topic's":     {"--config max.message.bytes=2000", "", strings.Repeat("e", 1925) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			topic := strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name)
			must(t, "", "topic create "+topic+" -p 1 "+c.config)
			must(t, c.in, "produce "+topic+" "+c.flags)
			if out := must(t, "", "consume "+topic); out != c.in {
				t.Errorf("consumed %d bytes that differ from %d", len(out), len(c.in))
			}
		})
	}
}

// A line that a topic doesn't take is named, with what was written.
func TestALineThatIsTooLargeIsNamed(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create narrow -p 1 --config max.message.bytes=2000")
	in := strings.Repeat("fine\n", 40) + strings.Repeat("x", 3000) + "\nnever\n"
	wants(t, command(t, in, "produce narrow"), exitFailed, "the first is line 41", "all before it were", "3000 bytes", "max.message.bytes, 2000", "topic alter narrow")
	if out := must(t, "", "consume narrow"); out != strings.Repeat("fine\n", 40) {
		t.Errorf("consumed %q", out)
	}
	must(t, "", "topic alter narrow --set max.message.bytes=1000")
	wants(t, command(t, strings.Repeat("x", 935), "produce narrow"), exitFailed, "value of 935 bytes, 1005 with all that a batch adds", "max.message.bytes, 1000")
	must(t, strings.Repeat("x", 930), "produce narrow") // 1000 with all that a batch adds
	must(t, "", "topic alter narrow --set max.message.bytes=2000")
	if text := tooLarge(&kgo.Record{Value: make([]byte, 100)}, 1000).Error(); !strings.Contains(text, "was 1000 when varve asked") {
		t.Errorf("a refusal of what is smaller is %q", text)
	}
	shrinks := noise(1, 6000)
	wants(t, command(t, "a\n"+shrinks, "produce narrow -z zstd"), exitFailed, "the first is line 2", "max.message.bytes, 2000")
}

// What producers of other tools can express can be expressed.
func TestWhatARecordIsMadeOf(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create made -p 3")
	const all = `%t %p %o %k %v{hex} %V %T %h\n`
	for _, c := range []struct {
		in    string
		flags []string
		want  string
	}{
		{"v\n", []string{"-k", "key", "-p", "1", "--timestamp", "@1700000000000"}, "made 1 0 key 76 1 1700000000000 \n"},
		{"", []string{"-k", "gone", "--tombstone", "-p", "1", "--timestamp", "2026-01-31T12:00:00Z"}, "made 1 1 gone  -1 1769860800000 \n"},
		{"k=\n", []string{"-K", "=", "-Z", "-p", "1", "--timestamp", "@1"}, "made 1 2 k  -1 1 \n"},
		{"a b\n", []string{"-f", `%k %v\n`, "-p", "1", "--timestamp", "@1", "-H", "x=1", "-H", "y:2"}, "made 1 3 a 62 1 1 x=1,y=2\n"},
		{"2|AQI=|0aff|77|n=m\n", []string{"-f", `%p|%k{base64}|%v{hex}|%T|%h\n`}, "made 2 0 \x01\x02 0aff 2 77 n=m\n"},
		{`{"key":null,"value_base64":"/w==","headers":[{"name":"h","value":"w"}]}` + "\n", []string{"-f", "json", "-p", "1", "--timestamp", "@5"}, "made 1 4  ff 1 5 h=w\n"},
		{"ff00\n", []string{"--value-encoding", "hex", "-p", "1", "--timestamp", "@5"}, "made 1 5  ff00 2 5 \n"},
	} {
		if out := must(t, c.in, "produce made -o", append([]string{all}, c.flags...)...); out != c.want {
			t.Errorf("%q: reported %q, want %q", c.flags, out, c.want)
		}
	}
	out := must(t, "", "consume made -p 1 --format", `%o %k %v{hex} %V %T %h\n`)
	if !strings.HasPrefix(out, "0 key 76 1 1700000000000 \n1 gone  -1 ") || strings.Count(out, "\n") != 6 {
		t.Errorf("consumed %q", out)
	}
	must(t, "other x\n", "produce -f", `%t %v\n`, "-o", `%t`)
	for _, bad := range [][]string{{"-f", "%k%v\\n"}, {"-f", "%q"}, {"-f", "x"}, {"-f", "%v{rot13}"}, {"-k", "x", "-K", ":"}, {"--timestamp", "soon"}, {"--json", "-o", "%p"}, {"--value-encoding", "rot13"}, {"-p", "-2"}} {
		wants(t, command(t, "a\n", "produce made", bad...), exitUsage)
	}
	wants(t, command(t, "a\n", "produce made -f lines.txt"), exitUsage, "--file reads a file")
	wants(t, command(t, "nothex\n", "produce made --value-encoding hex"), exitUsage, "line 1: value: not hexadecimal")
	wants(t, command(t, "a b\nc\n", "produce made -f", `%k %v\n`), exitUsage, "line 2")
}

// What was produced is what is consumed as JSON and produced again.
func TestJSONGoesThereAndBack(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create one two -p 1")
	must(t, "a:b\nc:\nd:\xff\xfe\n", "produce one -K : -Z -H n=v")
	lines := must(t, "", "consume one -f json")
	must(t, lines, "produce two -f json")
	const all = `%k{hex} %v{hex} %V %h\n`
	one, two := must(t, "", "consume one -f", all), must(t, "", "consume two -f", all)
	if one != two || strings.Count(one, "\n") != 3 {
		t.Errorf("%q became %q", one, two)
	}
}

func TestFlight(t *testing.T) {
	var f flight
	if quiet, oldest := f.waits(); quiet != 0 || oldest != 0 {
		t.Error("nothing waits")
	}
	a, b, c := f.start(), f.start(), f.start()
	f.end(b)
	f.since[0] = time.Now().Add(-time.Hour)
	if quiet, oldest := f.waits(); quiet > time.Minute || oldest < time.Hour {
		t.Errorf("quiet for %v, the oldest waits for %v", quiet, oldest)
	}
	f.end(a)
	if len(f.since) != 1 {
		t.Errorf("%d wait", len(f.since))
	}
	f.end(c)
	f.end(f.start())
	if quiet, oldest := f.waits(); quiet != 0 || oldest != 0 || f.next != 4 {
		t.Error("nothing waits any more")
	}
}

// The bound of a record's batch is one: its true size is never above.
func TestBatchSizeIsABound(t *testing.T) {
	r := &kgo.Record{Value: make([]byte, 1000), Key: make([]byte, 10), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("b")}}}
	if n := batchSize(r); n < 61+1000+10+2+9 || n > 1200 {
		t.Errorf("%d bytes", n)
	}
}

// The client notes its choice in the record, and asks again when that partition begins
// a batch, perhaps with fewer partitions: only a record with a partition is held to it.
func TestPartitionIsChosenAgainForANewBatch(t *testing.T) {
	topic := named{kgo.StickyKeyPartitioner(nil)}.ForTopic("t")
	free := &kgo.Record{Partition: -1, Value: []byte("v")}
	free.Context = naming(t.Context(), free)
	for range 100 {
		if topic.RequiresConsistency(free) {
			t.Fatal("a record that names no partition wants one that can't be written")
		}
		free.Partition = int32(topic.Partition(free, 9))
		topic.(kgo.TopicPartitionerOnNewBatch).OnNewBatch()
		first := free.Partition
		if p := topic.Partition(free, 7); p >= 7 || p == int(first) {
			t.Fatalf("the second choice among 7 is %d, the first was %d", p, first)
		}
		free.Partition = 8 // left by an earlier choice
	}
	held := &kgo.Record{Partition: 8}
	held.Context = naming(t.Context(), held)
	if !topic.RequiresConsistency(held) || topic.Partition(held, 9) != 8 || topic.Partition(held, 9) != 8 {
		t.Error("a record that names partition 8 goes elsewhere")
	}
}

// Records without a key fill one partition's batch after the other's, and those with a
// named partition stay there.
func TestProduceSpreadsBatches(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create spread -p 4 --config max.message.bytes=5000")
	must(t, thousands(400), "produce spread")
	counts := map[string]int{}
	for _, p := range strings.Fields(must(t, "", "consume spread -f", `%p\n`)) {
		counts[p]++
	}
	if len(counts) != 4 {
		t.Errorf("records are in partitions %v", counts)
	}
	must(t, thousands(50), "produce spread -p 2")
	if n := len(strings.Fields(must(t, "", "consume spread -p 2 -f", `%p\n`))); n != counts["2"]+50 {
		t.Errorf("partition 2 has %d records, had %d", n, counts["2"])
	}
}
