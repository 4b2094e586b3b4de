package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"varve/agent"

	"varve/internal/bench"
)

func TestParsePosition(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]position{
		"beginning": {kind: atBeginning}, "earliest": {kind: atBeginning}, "end": {kind: atEnd}, "latest": {kind: atEnd},
		"0": {atOffset, 0}, "17": {atOffset, 17}, "-5": {atLast, 5}, "-0": {atLast, 0}, "@1500": {atTime, 1500},
		"1h30m ago": {atTime, now.Add(-90 * time.Minute).UnixMilli()}, "2026-01-31T12:00:00Z": {atTime, now.UnixMilli()},
		"2026-01-31T13:00:00.250+01:00": {atTime, now.UnixMilli() + 250},
	} {
		if got, err := parsePosition(text, now); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "@", "@-1", "ago", "-1h ago", "2026-13-01", "1.5"} {
		if got, err := parsePosition(text, now); exitCode(err) != exitUsage {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

func TestPartitionList(t *testing.T) {
	for text, want := range map[string][]int32{"": nil, "0": {0}, "0,2,5-7": {0, 2, 5, 6, 7}, "3-3": {3}} {
		if got, err := partitionList(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{",", "x", "1-", "-1", "3-2", "0-2000000000", "1 2", "0x1"} {
		if got, err := partitionList(text); exitCode(err) != exitUsage {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// A name of thousands of characters doesn't make every row of a table as long.
func TestTablesCutLongNames(t *testing.T) {
	var out strings.Builder
	long := strings.Repeat("ä", 5000)
	err := new(jsonFlag).write(&out, nil, func(t *table) {
		t.row(long, "Stable", long)
		t.row("g", "Empty", "x")
	})
	lines := strings.Split(out.String(), "\n")
	if err != nil || len([]rune(lines[0])) < 5000 || len([]rune(lines[1])) > maxCell+20 || !strings.Contains(lines[0], "ä…") {
		t.Errorf("%v: lines of %d and %d characters", err, len([]rune(lines[0])), len([]rune(lines[1])))
	}
}

func TestStatesOfGroups(t *testing.T) {
	states := []string{"stable", "Empty", "preparingREBALANCE"}
	if err := checkStates(states); err != nil || !slices.Equal(states, []string{"Stable", "Empty", "PreparingRebalance"}) {
		t.Errorf("%v, %v", states, err)
	}
	if err := checkStates([]string{"Bogus"}); exitCode(err) != exitUsage {
		t.Error(err)
	}
}

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"%v\\n", "%", "%%%t", "0,2,5-7", "-5", "1h ago", "@7", "2026-01-31"} {
		f.Add(s)
	}
	record := &kgo.Record{Topic: "t", Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "h"}}}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = parsePosition(s, time.UnixMilli(0))
		if l, err := partitionList(s); err == nil && len(l) > 100_001*(1+strings.Count(s, ",")) {
			t.Errorf("%q has %d partitions", s, len(l))
		}
		format, err := parseFormat(s, asText, asText)
		if err != nil {
			return
		}
		for _, piece := range format {
			piece(nil, record)
		}
	})
}

func TestProgressTellsRateAndTimeToGo(t *testing.T) {
	var m bench.Meter
	m.Bytes.Store(10_000_000)
	m.Records.Store(100)
	for want, p := range map[string]progress{
		"100 records, 10.0 MB, 5.0 MB/s":                 {meter: &m},
		"100 records, 10.0 MB, 5.0 MB/s, 25 %, 6s to go": {meter: &m, total: 40_000_000},
		"100 records, 10.0 MB, 5.0 MB/s, 50 %, 2s to go": {meter: &m, total: 10, done: func() int64 { return 5 }},
		"100 records, 10.0 MB, 5.0 MB/s, 8s to go":       {meter: &m, limit: 10 * time.Second},
	} {
		if got := p.line(2 * time.Second); got != want {
			t.Errorf("progress is %q, want %q", got, want)
		}
	}
}

func TestLinesAreReadInBoundedMemory(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		ok   bool
	}{
		{"", nil, true}, {"a\nb", []string{"a", "b"}, true}, {"a\n\n", []string{"a", ""}, true},
		{strings.Repeat("x", 10) + "\n", []string{strings.Repeat("x", 10)}, true}, {strings.Repeat("x", 10), []string{strings.Repeat("x", 10)}, true},
		{"a\n" + strings.Repeat("x", 11) + "\n", []string{"a"}, false}, {strings.Repeat("x", 11), nil, false}, {strings.Repeat("x", 1<<20), nil, false},
	} {
		l := &lineReader{end: '\n', max: 10}
		var got []string
		err := l.each(context.Background(), strings.NewReader(c.in), func(r *kgo.Record, _ int64) error { got = append(got, string(r.Value)); return nil })
		if (err == nil) != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%.20q gives %q, %v", c.in, got, err)
		}
	}
}

// Debug logging goes on and off, and if it is configured, the answer says that it stays.
func TestDebugIsSwitched(t *testing.T) {
	for _, c := range []struct {
		configured string
		want       []string
	}{{"info", []string{"changed\" level=debug", "changed\" level=info"}}, {"debug", []string{"already\" level=debug", "already\" level=debug"}}, {"warn", []string{"changed\" level=debug", ""}}} {
		var logged strings.Builder
		s := &server{level: new(slog.LevelVar)}
		s.cfg.Log.Level = c.configured
		if err := s.openLog(&logged); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			logged.Reset()
			s.switchDebug(c.configured)
			if !strings.Contains(logged.String(), want) {
				t.Errorf("%s: logged %q, want %q", c.configured, logged.String(), want)
			}
		}
	}
}

// The same line can't flood the log, in either format.
func TestLogIsLimited(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var logged strings.Builder
		s := &server{level: new(slog.LevelVar)}
		s.cfg.Log = agent.LogConfig{Level: "info", Format: format, MaxPerMinute: 10}
		if err := s.openLog(&logged); err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			s.log.With("part", "x").Warn("again", "n", n)
		}
		if n := strings.Count(logged.String(), "again"); n < 10 || n > 20 { // 20: a minute ends meanwhile
			t.Errorf("%s: %d lines", format, n)
		}
	}
}

func TestNoControllerNamesEtcd(t *testing.T) {
	err := sayKafka("create topics", errors.New("broker replied that "+noController), "")
	if exitCode(err) != exitUnavailable || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("%v", err)
	}
}
