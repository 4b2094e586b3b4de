package main

import "testing"

// 'varve config' refuses what an agent would refuse, naming the setting, and shows it all
// the same.
func TestConfigRefusesWhatAnAgentRefuses(t *testing.T) {
	dir := t.TempDir()
	fine := "config --store-driver dir --store-directory " + dir
	wants(t, command(t, "", fine+" --etcd-endpoints http://127.0.0.1:1,http://127.0.0.1:2"), exitOK, "etcd.endpoints: ['http://127.0.0.1:1', 'http://127.0.0.1:2']")
	wants(t, command(t, "", "config --store-driver foo"), exitUsage, "store.driver: foo", "'varve agent' refuses", `store.driver: "foo" is not allowed`)
	wants(t, command(t, "", fine+" --etcd-prefix x"), exitUsage, `etcd.prefix: "x"`)
	wants(t, command(t, "", fine+" --log-level loud"), exitUsage, `log.level is "loud"`)
	wants(t, command(t, "", fine, "--etcd-endpoints", "[a"), exitUsage, "--etcd-endpoints (etcd.endpoints)", "want [a, b, ...]")
	wants(t, command(t, "", fine, "--listeners", ":9092"), exitUsage, "want [{name: ..., bind: ..., advertised: ...}, ...]")
	for _, name := range []string{"SSL", "SASL_SSL", "sasl_plaintext"} {
		wants(t, command(t, "", fine, "--listeners", "[{name: "+name+", bind: ':9093'}]"), exitUsage, "listeners[0].name", "doesn't have yet", "plaintext")
	}
	wants(t, command(t, "", fine, "--listeners", "[{name: INTERNAL, bind: ':9093'}]"), exitOK, "INTERNAL")
}
