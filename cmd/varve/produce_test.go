package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.String()
}

func TestProduceAndConsume(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create lines -p 1")
	sum := decode[producedSum](t, must(t, numbers(5000)+"last", "produce lines --json --compression zstd"))
	if sum.Records != 5001 || sum.Failed != 0 || sum.Topic != "lines" {
		t.Errorf("produced %+v", sum)
	}
	if out := must(t, "", "consume lines"); out != numbers(5000)+"last\n" {
		t.Errorf("consumed %d bytes that differ", len(out))
	}
	for from, want := range map[string]string{
		"-2": "4999\nlast\n", "4999": "4999\nlast\n", "end": "", "@0": numbers(5000) + "last\n", "0s ago": "",
	} {
		if out := must(t, "", "consume lines --from", from); out != want {
			t.Errorf("from %s there are %d bytes, want %d", from, len(out), len(want))
		}
	}
	if out := must(t, "", "consume lines -n 3"); out != "0\n1\n2\n" {
		t.Errorf("three records are %q", out)
	}
	wants(t, command(t, "", "consume nope"), exitNotFound, "there is no such topic")
	wants(t, command(t, "", "consume lines -p 1"), exitNotFound, "no partition 1")
	wants(t, command(t, "", "consume lines --from x"), exitUsage, "position")
	wants(t, command(t, "", "consume lines --format %y"), exitUsage, "%y is not known")
	wants(t, command(t, "", "consume lines -p 0 --group g"), exitUsage, "exclude each other")
}

func TestKeysHeadersAndPartitions(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create keyed -p 4")
	must(t, "k1:v1\nk2:\n", "produce keyed -K : -p 2 -H a=b -H c=", "--acks", "1")
	out := must(t, "", "consume keyed --format", `%t %p %o %k=%v %K %V %h|%%\n`)
	if want := "keyed 2 0 k1=v1 2 2 a=b,c=|%\nkeyed 2 1 k2= 2 0 a=b,c=|%\n"; out != want {
		t.Errorf("consumed %q, want %q", out, want)
	}
	must(t, "k3:", "produce keyed -p 3 --empty-as-null", "--key-delimiter", ":")
	r := decode[recordJSON](t, must(t, "", "consume keyed --json --partitions 3"))
	if r.Partition != 3 || *r.Key != "k3" || r.Value != nil || r.Timestamp == 0 || len(r.Headers) != 0 {
		t.Errorf("the tombstone is %+v", r)
	}
	must(t, "\xff\n", "produce keyed -p 0")
	if r := decode[recordJSON](t, must(t, "", "consume keyed --json -p 0")); r.Value != nil || r.ValueBase64 != "/w==" {
		t.Errorf("bytes that are no text are %+v", r)
	}
	wants(t, command(t, "no key\n", "produce keyed -K :"), exitUsage, "record 1 has no key")
	wants(t, command(t, "x\n", "produce keyed -p 9"), exitFailed, "was not written, the first is line 1")
}

func TestProduceFromAFile(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create files -p 1")
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("a;b;;c"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "", "produce files -D ; --file "+path)
	if out := must(t, "", "consume files"); out != "a\nb\n\nc\n" {
		t.Errorf("consumed %q", out)
	}
	wants(t, command(t, "", "produce files --file /nonexistent"), exitUsage, "/nonexistent")
	r := command(t, "short\n"+strings.Repeat("x", 101)+"\nnever\n", "produce files --max-record-bytes 100")
	wants(t, r, exitUsage, "record 2 is longer than 100 bytes")
	wants(t, command(t, strings.Repeat("y", 100)+"\n", "produce files --max-record-bytes 100"), exitOK)
	if out := must(t, "", "consume files --from 4"); out != "short\n"+strings.Repeat("y", 100)+"\n" {
		t.Errorf("consumed %q", out)
	}
	must(t, "", "topic create narrow -p 1 --config max.message.bytes=200")
	wants(t, command(t, strings.Repeat("z", 5000), "produce narrow"), exitFailed, "larger than the topic's max.message.bytes")
	for _, flags := range []string{"--acks 2", "--compression rar", "-D ab", "-H novalue", "--max-record-bytes 0"} {
		wants(t, command(t, "", "produce files "+flags), exitUsage)
	}
}
