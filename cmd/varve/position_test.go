package main

import (
	"strings"
	"testing"
	"time"
)

func TestPositions(t *testing.T) {
	now := time.Date(2026, 11, 29, 20, 0, 0, 0, time.FixedZone("here", 2*3600))
	ms := func(text string) int64 {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	for text, want := range map[string]position{
		"start": {kind: atBeginning}, "oldest": {kind: atBeginning}, "end": {kind: atEnd}, "newest": {kind: atEnd}, "7": {atOffset, 7}, "-7": {atLast, 7}, "+7": {atFirst, 7},
		"@7": {atTime, 7}, "@1700000000": {atTime, 1700000000000}, "@1700000000123": {atTime, 1700000000123}, "@1700000000123456789": {atTime, 1700000000123}, "s@5": {atTime, 5},
		"1d ago": {atTime, ms("2026-11-28T20:00:00+02:00")}, "5 minutes ago": {atTime, ms("2026-11-29T19:55:00+02:00")}, "2 hours and 5 min ago": {atTime, ms("2026-11-29T17:55:00+02:00")},
		"1h30m ago": {atTime, ms("2026-11-29T18:30:00+02:00")}, "-1h": {atTime, ms("2026-11-29T19:00:00+02:00")}, "@-2h": {atTime, ms("2026-11-29T18:00:00+02:00")}, "1 week ago": {atTime, ms("2026-11-22T20:00:00+02:00")},
		"yesterday": {atTime, ms("2026-11-28T00:00:00+02:00")}, "now": {atTime, ms("2026-11-29T20:00:00+02:00")},
		"2026-11-29 20:00": {atTime, ms("2026-11-29T20:00:00+02:00")}, "@2026-11-29 20:00": {atTime, ms("2026-11-29T20:00:00+02:00")}, "2026-11-29T20:00:00Z": {atTime, ms("2026-11-29T20:00:00Z")},
		"2026-11-29": {atTime, ms("2026-11-29T00:00:00+02:00")}, "2026-11-29 20:00:01 UTC": {atTime, ms("2026-11-29T20:00:01Z")}, "2026-11-29 20:00+01:00": {atTime, ms("2026-11-29T20:00:00+01:00")},
	} {
		if got, err := parsePosition(text, now); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "@", "5 parsecs ago", "1d", "ago", "2026-13-01", "--5", "@-", "9223372036854775807 weeks ago", "2026-11-29 20:00 EST"} {
		if got, err := parsePosition(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	for text, want := range map[string]span{
		"7": {from: position{atOffset, 7}}, "7:9": {position{atOffset, 7}, position{atOffset, 9}}, ":end": {position{kind: atBeginning}, position{kind: atEnd}}, ":9": {position{kind: atBeginning}, position{atOffset, 9}},
		"7:": {position{atOffset, 7}, position{kind: atEnd}}, "-5:end": {position{atLast, 5}, position{kind: atEnd}}, "start:+3": {position{kind: atBeginning}, position{atFirst, 3}},
		"@1700000000000:@1700000001000": {position{atTime, 1700000000000}, position{atTime, 1700000001000}}, "@1700000000000:1700000001000": {position{atTime, 1700000000000}, position{atTime, 1700000001000}},
		"@-2h:@-1h": {position{atTime, ms("2026-11-29T18:00:00+02:00")}, position{atTime, ms("2026-11-29T19:00:00+02:00")}}, "@:5": {position{kind: atBeginning}, position{atTime, 5}},
		"2026-11-29 19:00:2026-11-29 20:00":              {position{atTime, ms("2026-11-29T19:00:00+02:00")}, position{atTime, ms("2026-11-29T20:00:00+02:00")}},
		"@2026-11-29T19:00:00Z:@2026-11-29T20:00:00Z":    {position{atTime, ms("2026-11-29T19:00:00Z")}, position{atTime, ms("2026-11-29T20:00:00Z")}},
		"2026-11-29T19:00:00+02:00:2026-11-29T20:00:00Z": {position{atTime, ms("2026-11-29T19:00:00+02:00")}, position{atTime, ms("2026-11-29T20:00:00Z")}},
		"1d ago:5 minutes ago":                           {position{atTime, ms("2026-11-28T20:00:00+02:00")}, position{atTime, ms("2026-11-29T19:55:00+02:00")}},
	} {
		if got, err := parseSpan(text, now); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"a:b", "1:2:3", "7:soon", "::"} {
		if got, err := parseSpan(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestRangesAreRead(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create r-one r-two other -p 1")
	for i, line := range strings.Fields("a b c d e") {
		must(t, line+"\n", "produce r-one --timestamp", []string{"@1000", "@2000", "@3000", "@4000", "@5000"}[i])
	}
	must(t, "z\n", "produce r-two")
	must(t, "y\n", "produce other")
	for from, want := range map[string]string{"1:3": "b c", ":2": "a b", "3:": "d e", "-2:end": "d e", "+1:+2": "b", "@2000:@4000": "b c", "start:-3": "a b", "@2000:4000": "b c", "5": "", "5:end": ""} {
		if out := must(t, "", "consume r-one --from", from); strings.Join(strings.Fields(out), " ") != want {
			t.Errorf("from %s: %q, want %q", from, out, want)
		}
	}
	for _, backwards := range []string{"-o 3:1", "-o s@4000 -o e@2000"} {
		wants(t, command(t, "", "consume r-one "+backwards), exitUsage, "ends before it begins")
	}
	if out := must(t, "", "consume r-one -o s@2000 -o e@4000"); out != "b\nc\n" {
		t.Errorf("kcat's range is %q", out)
	}
	if out := must(t, "", "consume -r ^r- -f %t=%v; --until-end"); !strings.Contains(out, "r-one=a;") || !strings.Contains(out, "r-two=z;") || strings.Contains(out, "other") {
		t.Errorf("topics that match: %q", out)
	}
	if out := must(t, "", "consume -t other"); out != "y\n" {
		t.Errorf("topic by flag: %q", out)
	}
	must(t, "x\n", "produce -t other -k k")
	wants(t, command(t, "", "consume r-one --from 100"), exitFailed, "partition 0 of r-one", "100 is after the end, 5")
	wants(t, command(t, "", "consume -r nope"), exitNotFound, "no topic matches nope")
	wants(t, command(t, "", "consume -r ("), exitUsage, "--regex")
	wants(t, command(t, "", "consume r-one --json -f %v"), exitUsage, "exclude each other")
	wants(t, command(t, "", "consume r-one --follow --from 1:2"), exitUsage, "exclude each other")
	wants(t, command(t, "", "consume r-one --follow --until-end"), exitUsage, "exclude each other")
	wants(t, command(t, "", "consume r-one -o 1 -o 2"), exitUsage, "given twice")
}

func TestFormats(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create f -p 1")
	must(t, "k:v\n", "produce f -K : -H a=1 -H b=2 --timestamp @1500")
	for format, want := range map[string]string{
		`%k %v %h %t %o %p %T\n`: "k v a=1,b=2 f 0 0 1500\n", `%v{base64}|%k{hex}|%v{json}`: `dg==|6b|"v"`, `%T{rfc3339}`: "1970-01-01T00:00:01.500Z", `%h{b}/%h{%k:%v;}`: "2/a:1;b:2;",
		`%H%%\t\x41\\n`: "2%\tA\\n", `%s %S %K`: "v 1 1", "": "",
	} {
		if out := must(t, "", "consume f -f", format); out != want {
			t.Errorf("%q gives %q, want %q", format, out, want)
		}
	}
	if out := must(t, "", "consume f --value-encoding base64 --key-encoding hex -f", `%k %v`); out != "6b dg==" {
		t.Errorf("encoded %q", out)
	}
	for _, bad := range []string{"%", "%q", "%v{rot13}", "%v{hex", "%T{go}", "%h{%q}"} {
		wants(t, command(t, "", "consume f -f", bad), exitUsage, "format")
	}
}

// What can't be meant is answered with what may be.
func TestPositionsThatCannotBeMeant(t *testing.T) {
	t.Setenv(brokersVariable, "127.0.0.1:1")
	for text, want := range map[string]string{
		"1h": "a time ago has a minus", "2 days": "'2 days ago'", "8:5": `range "8:5" ends before it begins`, "-5:-8": "ends before", "+3:+1": "ends before", "@-1h:@-2h": "ends before", "@2026-02-01:@2026-01-01": "ends before",
	} {
		wants(t, command(t, "", "consume x -o", text), exitUsage, want)
	}
	for _, text := range []string{"5:8", "5:5", "-8:-5", "-1:5", "end:start", "@-2h:@-1h"} {
		if _, err := (&consumeFlags{from: []string{text}}).span(time.Now()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
