package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// mute accepts connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

// arguments are what commands need to get as far as asking someone.
var arguments = map[string]string{
	"varve topic create": "x", "varve topic describe": "x", "varve topic alter": "x --set retention.ms=1", "varve topic delete": "x", "varve topic undelete": "x", "varve topic trim": "x --before 5 --execute",
	"varve topic produce": "x", "varve topic consume": "x", "varve produce": "x", "varve consume": "x",
	"varve group describe": "x", "varve group delete": "x", "varve group reset": "x --all-topics --to-latest", "varve group seek": "x --to end --all-topics", "varve group offset-delete": "x --topic t",
	"varve cluster drain": "1", "varve cluster undrain": "1", "varve cluster move": "x/1 1", "varve cluster accept-loss": "1/1 --yes", "varve cluster forget": "1", "varve cluster replace": "1 2", "varve cluster turn": "true",
	"varve user create": "x", "varve user passwd": "x", "varve user delete": "x",
	"varve token renew": "x", "varve token expire": "x",
	"varve acl create": "--allow-principal a --operation read --topic t", "varve acl delete": "--principal a", "varve acl explain": "a read --topic t",
	"varve quota set": "producer_byte_rate=1 --default user", "varve quota delete": "--default user",
	"varve tier skip": "x 0 --from 1 --to 2 --yes",
}

// Every command that asks someone ends within its --timeout, also when that one hangs;
// one of several brokers that hangs costs nothing.
func TestEveryCommandEndsInTime(t *testing.T) {
	hung := mute(t)
	var walk func(t *testing.T, c *cobra.Command)
	arguments["varve support bundle"] = "--log-mb 0 -o " + filepath.Join(t.TempDir(), "bundle.tar.gz")
	asked := 0
	walk = func(t *testing.T, c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(t, child)
		}
		if c.RunE == nil || c.HasSubCommands() || c.Flags().Lookup("profile") == nil {
			return
		}
		asked++
		path := c.CommandPath()
		at := ""
		for _, f := range []string{"brokers", "http"} {
			if c.Flags().Lookup(f) != nil {
				at += " --" + f + " " + hung
			}
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			if c.Flags().Lookup("timeout") == nil {
				t.Fatal("there is no --timeout")
			}
			start := time.Now()
			r := command(t, "a\n", strings.TrimPrefix(path, "varve ")+" "+arguments[path]+at+" --timeout 300ms")
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if want := map[bool]int{false: exitUnavailable, true: 2}[path == "varve cluster health"]; r.code != want {
				t.Errorf("exit code %d: %s", r.code, r.err)
			}
		})
	}
	t.Run("hung", func(t *testing.T) { walk(t, root()) })
	if asked < 25 {
		t.Errorf("%d commands were tried", asked)
	}
	a := startAgent(t)
	start := time.Now()
	must(t, "", "topic list -b "+hung+","+a.kafka)
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("beside a broker that hangs it took %v", took)
	}
}

// A record that was sent, and is refused for ever, is given up in time: with too few
// replicas, an idempotent one is tried again and again.
func TestProduceGivesUp(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create short -p 1 --config min.insync.replicas=2")
	for _, flags := range []string{"", "--acks all -z gzip", "-f %k|%v\\n"} {
		start := time.Now()
		r := command(t, "a|b\nc|d\n", "produce short --timeout 1s "+flags)
		wants(t, r, exitUnavailable, "2 records were not written, the first is line 1", "no acknowledgement within 1s")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	start := time.Now()
	wants(t, command(t, "", "bench produce -t short -d 200ms --idempotent"), exitFailed, "not acknowledged within 5s")
	wants(t, command(t, "", "bench e2e -t short -d 200ms"), exitFailed)
	if took := time.Since(start); took > 40*time.Second {
		t.Errorf("benchmarks took %v", took)
	}
}
