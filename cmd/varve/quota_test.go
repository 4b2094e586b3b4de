package main

import (
	"strings"
	"testing"
)

// Quotas are set, listed and deleted; what makes no sense is refused, by the command or by the
// broker in Kafka's words.
func TestQuotas(t *testing.T) {
	startAgent(t)
	wants(t, command(t, "", "quota set producer_byte_rate=10MiB request_percentage=12.5 --name user=alice"), exitOK, "user=alice", "producer_byte_rate", "10485760", "12.5")
	wants(t, command(t, "", "quota set consumer_byte_rate=2MB --name user=alice --default client-id"), exitOK, "user=alice client-id=<default>", "2000000")
	wants(t, command(t, "", "quota set controller_mutation_rate=5 --default user"), exitOK, "user=<default>")
	wants(t, command(t, "", "quota set connection_creation_rate=20 --name ip=10.0.0.1"), exitOK, "ip=10.0.0.1")
	count := func(line string) int {
		return len(decode[[]quotaRow](t, must(t, "", "quota list --json "+line)))
	}
	for line, want := range map[string]int{"": 4, "--name user=alice": 2, "--name user=alice --strict": 1, "--default user": 1, "--default client-id": 1, "--name ip=10.0.0.1": 1, "--name user=bob": 0} {
		if got := count(line); got != want {
			t.Errorf("quota list %s: %d, want %d", line, got, want)
		}
	}
	if out := must(t, "", "quota list --json --default user"); !strings.Contains(out, `"default": true`) || !strings.Contains(out, `"value": 5`) {
		t.Errorf("listed: %s", out)
	}
	wants(t, command(t, "", "quota set producer_byte_rate=1"), exitUsage, "say whose quota")
	wants(t, command(t, "", "quota set x=1 --default user"), exitUsage, `"x=1"`)
	wants(t, command(t, "", "quota set producer_byte_rate=0 --default user"), exitUsage, "must be a number above 0")
	wants(t, command(t, "", "quota set producer_byte_rate=1 --name alice"), exitUsage, "want user=NAME")
	wants(t, command(t, "", "quota set producer_byte_rate=1 --name topic=t"), exitUsage, `"topic": must be user, client-id or ip`)
	wants(t, command(t, "", "quota set producer_byte_rate=1 --name user=a --default user"), exitUsage, "user is given twice")
	wants(t, command(t, "", "quota set producer_byte_rate=1 --default ip"), exitFailed, "Invalid configuration key producer_byte_rate")
	wants(t, command(t, "", "quota set producer_byte_rate=0.5 --default user"), exitFailed, "producer_byte_rate cannot be a fractional value.")
	wants(t, command(t, "", "quota delete request_percentage --name user=alice"), exitOK, "quota request_percentage of user=alice deleted")
	wants(t, command(t, "", "quota delete request_percentage --name user=alice"), exitNotFound, "there are none")
	wants(t, command(t, "", "quota delete --name user=alice"), exitOK, "quota producer_byte_rate of user=alice deleted")
	wants(t, command(t, "", "quota delete x --name user=alice"), exitUsage, `"x"`)
	if got := count(""); got != 3 {
		t.Errorf("%d are left", got)
	}
}
