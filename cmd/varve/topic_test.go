package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// decode reads a command's JSON strictly: fields that its type lacks are errors.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return v
}

// wants checks that a command ended with a code and said each of the texts.
func wants(t *testing.T, r ran, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d: %s%s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Errorf("%q is not in the output:\n%s%s", text, r.out, r.err)
		}
	}
}

func TestTopics(t *testing.T) {
	startAgent(t)
	created := decode[[]createdTopic](t, must(t, "", "topic create orders clicks -p 3 --config retention.ms=1000000 --json"))
	if len(created) != 2 || created[0].Topic != "orders" || created[0].Partitions != 3 || !created[0].Created || len(created[0].ID) != 22 {
		t.Errorf("created %+v", created)
	}
	wants(t, command(t, "", "topic create orders"), exitFailed, "it exists already", "TOPIC_ALREADY_EXISTS")
	wants(t, command(t, "", "topic create orders --if-not-exists"), exitOK, "exists")
	wants(t, command(t, "", "topic create other --validate-only"), exitOK, "valid")
	wants(t, command(t, "", "topic create other --config retention.xx=1"), exitFailed, "retention.xx")
	wants(t, command(t, "", "topic create bad/name good"), exitFailed, "bad/name", "created")

	listed := decode[[]topicRow](t, must(t, "", "topic list --json"))
	if len(listed) != 3 || listed[0].Topic != "clicks" || listed[1].Topic != "good" || listed[2].ID != created[0].ID || listed[2].Partitions != 3 {
		t.Errorf("listed %+v", listed)
	}
	if out := must(t, "", "topic list ord*"); !strings.Contains(out, "orders") || strings.Contains(out, "clicks") {
		t.Errorf("the pattern gives:\n%s", out)
	}
	wants(t, command(t, "", "topic list [x"), exitUsage, "pattern")

	must(t, "a\nb\nc\n", "produce orders -p 1")
	details := decode[[]topicDetail](t, must(t, "", "topic describe orders --json"))
	if len(details) != 1 || details[0].Records != 3 || len(details[0].Partitions) != 3 || details[0].Partitions[1].End != 3 || details[0].Partitions[0].End != 0 {
		t.Errorf("described %+v", details)
	}
	if c := details[0].Configs; len(c) != 1 || c[0].Name != "retention.ms" || *c[0].Value != "1000000" {
		t.Errorf("settings %+v", c)
	}
	wants(t, command(t, "", "topic describe orders"), exitOK, "3 partitions  3 records", "START", "retention.ms  1000000")
	wants(t, command(t, "", "topic describe orders --all-configs"), exitOK, "cleanup.policy", "DEFAULT_CONFIG")
	wants(t, command(t, "", "topic describe orders nope"), exitNotFound, "there is no such topic", "3 records")

	wants(t, command(t, "", "topic alter orders --set retention.ms=5 --partitions 6 --validate-only"), exitOK, "could be")
	wants(t, command(t, "", "topic alter orders --delete retention.ms --set max.message.bytes=99999 --partitions 6"), exitOK, "changed")
	details = decode[[]topicDetail](t, must(t, "", "topic describe orders --json"))
	if c := details[0].Configs; len(details[0].Partitions) != 6 || len(c) != 1 || c[0].Name != "max.message.bytes" {
		t.Errorf("after alter %+v", details)
	}
	wants(t, command(t, "", "topic alter orders"), exitUsage, "nothing to change")
	wants(t, command(t, "", "topic alter orders --set retention.ms"), exitUsage, "NAME=VALUE")
	wants(t, command(t, "", "topic alter orders --set a=1 --delete a"), exitUsage, "both set and deleted")
	wants(t, command(t, "", "topic alter orders --partitions 2"), exitFailed, "orders")
	wants(t, command(t, "", "topic alter nope --set retention.ms=5"), exitNotFound, "does not exist")

	wants(t, command(t, "", "topic delete orders nope"), exitNotFound, "topic orders deleted", "nope")
	wants(t, command(t, "", "topic describe orders"), exitNotFound)
}

func TestUseOfTheProgram(t *testing.T) {
	t.Setenv(brokersVariable, "127.0.0.1:1")
	wants(t, command(t, "", "topic list"), exitUnavailable, "no broker answers at 127.0.0.1:1", "connection refused", brokersVariable)
	wants(t, command(t, "", "topic list -b :"), exitUsage, "want host:port")
	wants(t, command(t, "", "topic list --timeout 0s"), exitUsage, "must be more than 0")
	wants(t, command(t, "", "topic create"), exitUsage, "Usage: varve topic create NAME...")
	wants(t, command(t, "", "tpic"), exitUsage, "did you mean 'topic'?")
	wants(t, command(t, "", "topic list --jsn"), exitUsage, "unknown flag", "varve topic list --help")
	wants(t, command(t, "", ""), exitOK, "Available Commands")
	wants(t, command(t, "", "completion bash"), exitOK, "complete")
	wants(t, command(t, "", "completion zsh"), exitOK, "#compdef varve")
	wants(t, command(t, "", "completion fish"), exitOK, "complete -c varve")
}

func TestShellCompletesNames(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create orders others clicks")
	out := must(t, "", "__complete topic describe o")
	if !strings.HasPrefix(out, "orders\nothers\n") || strings.Contains(out, "clicks") {
		t.Errorf("completed to:\n%s", out)
	}
}

func TestTopicUndelete(t *testing.T) {
	a := startAgent(t)
	at := " --http " + a.http
	must(t, "", "topic create orders")
	must(t, "", "topic delete orders")
	wants(t, command(t, "", "topic undelete orders"+at), exitOK, "orders")
	wants(t, command(t, "", "topic list"), exitOK, "orders")
	wants(t, command(t, "", "topic undelete orders"+at), exitFailed, "topic 'orders' is there")
	wants(t, command(t, "", "topic undelete never"+at), exitNotFound, "never")
}
