package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"varve/agent"
	"varve/internal/settings"
)

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
	wants(t, command(t, "", fine, "--listeners", ":9092"), exitUsage, "want [{name: ..., bind: ..., advertised: ..., protocol: ..., tls: ..., sasl: ..., principal_mapping_rules: ..., max_connections: ...}, ...]")
	for _, name := range []string{"SSL", "SASL_SSL"} { // Kafka's name of a protocol is never plaintext
		wants(t, command(t, "", fine, "--listeners", "[{name: "+name+", bind: ':9093'}]"), exitUsage, "listeners[0].tls.cert_file is empty", "listeners[0].tls.key_file")
		wants(t, command(t, "", fine, "--listeners", "[{name: "+name+", bind: ':9093', protocol: PLAINTEXT}]"), exitUsage, "listeners[0].name", "another protocol than PLAINTEXT")
	}
	wants(t, command(t, "", fine, "--listeners", "[{name: sasl_plaintext, bind: ':9093'}]"), exitOK, "sasl_plaintext")
	wants(t, command(t, "", fine, "--listeners", "[{name: INTERNAL, bind: ':9093'}]"), exitOK, "INTERNAL")
}

// TestConfigIsAFile: what is printed is what --config reads, but for secrets, of which
// nothing is printed.
func TestConfigIsAFile(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--store-driver", "dir", "--store-directory", dir, "--http", "", "--rack", "true", "--listeners", "[{name: A, bind: ':9092'}, {name: B, bind: 'h:1', advertised: 'h:2'}]",
		"--journal-hard-bytes", "100GiB", "--etcd-username", "u", "--etcd-password-file", secret, "--session-ttl", "7s"}
	printed := must(t, "", "config", flags...)
	if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "# etcd.password: <hidden>") || !strings.Contains(printed, "journal.hard_bytes: 107374182400") {
		t.Errorf("printed\n%s", printed)
	}
	file := filepath.Join(dir, "varve.yaml")
	if err := os.WriteFile(file, []byte(printed), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := must(t, "", "config --config "+file); again != printed {
		t.Errorf("read again it is\n%s\nit was\n%s", again, printed)
	}
	if strings.HasPrefix(printed, "# Secrets") {
		t.Errorf("a password from a file is to be added: %s", printed)
	}
	given := must(t, "", "config --store-driver minio --store-endpoint http://h:1 --store-bucket b --store-access-key a --store-secret-key hunter2 --etcd-username u --etcd-password hunter2")
	if first, _, _ := strings.Cut(given, "\n"); !strings.HasPrefix(first, "# Secrets are hidden") || !strings.Contains(first, "add etcd.password, store.access_key, store.secret_key,") {
		t.Errorf("the first line is %q", first)
	}
	if err := os.WriteFile(file, []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, command(t, "", "config --config "+file), exitUsage, `etcd.username: "u" without etcd.password`, "'varve config' hides passwords")
	must(t, "", "config --etcd-password hunter2 --config "+file)
	r := command(t, "", "config --store-driver memory --etcd-username u --etcd-password hunter2")
	if strings.Contains(r.out+r.err, "hunter2") {
		t.Error("a password is shown")
	}
	for _, args := range [][]string{{"--etcd-endpoints", "http://u:hunter2@h:1"}, {"--store-driver", "minio", "--store-endpoint", "http://u:hunter2@h:1"}, {"--etcd-password", "hunter2"}, {"--store-secret-key", "hunter2"}} {
		r := command(t, "", "config", args...)
		if r.code != exitUsage || strings.Contains(r.out+r.err, "hunter2") && !strings.Contains(strings.Join(args, " "), "endpoint") || strings.Contains(r.err, "hunter2") {
			t.Errorf("%v: exit code %d, %s%s", args, r.code, r.out, r.err)
		}
	}
	wants(t, command(t, "", "config --store-driver dir --store-directory x --etcd-username u --etcd-password-file /nonexistent"), exitUsage, "etcd.password_file: ", "/nonexistent")
}

// TestNoSecretLacksItsMark: what looks like a secret is hidden wherever settings are shown.
func TestNoSecretLacksItsMark(t *testing.T) {
	cfg := agent.DefaultConfig()
	looks := regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|private|api_?key|(^|_|\.)key$`)
	marked := 0
	for _, s := range settings.Of(&cfg) {
		name := s.Path[strings.LastIndexByte(s.Path, '.')+1:]
		if looks.MatchString(name) && !strings.HasSuffix(name, "_file") && !s.Secret {
			t.Errorf("%s looks like a secret and isn't marked as one", s.Path)
		}
		if s.Secret {
			marked++
			if err := s.Set("hunter2"); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(s.String()+s.Line(), "hunter2") {
				t.Errorf("%s is shown", s.Path)
			}
			if !slices.ContainsFunc(settings.Of(&cfg), func(f settings.Setting) bool { return f.Path == s.Path+"_file" }) {
				t.Errorf("there is no %s_file", s.Path)
			}
		}
	}
	if marked < 4 {
		t.Errorf("%d secrets are marked", marked)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "cfg", cfg.Store, "etcd", cfg.Metadata)
	if strings.Contains(logged.String(), "hunter2") {
		t.Errorf("a log has a secret: %s", logged.String())
	}
}

// TestAllFaultsAtOnce: a check of a configuration shows all that is wrong with it.
func TestAllFaultsAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "varve.yaml")
	if err := os.WriteFile(file, []byte("brokr_id: 1\nlisteners:\n  - {name: A, advertized: x}\njournal:\n  hard_bytes: lots\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VARVE_RACKK", "x")
	wants(t, command(t, "", "config --config "+file+" --session-ttl soon"), exitUsage, "did you mean broker_id?", `"listeners[0].advertized"; did you mean listeners[0].advertised?`, "journal.hard_bytes", "did you mean VARVE_RACK?", "--session-ttl")
	t.Setenv("VARVE_RACKK", "")
	os.Unsetenv("VARVE_RACKK")
	wants(t, command(t, "", "config --broker-id 0 --session-ttl 1ms --log-level loud --listeners", "[{name: '', bind: x}, {name: SSL, bind: ':1'}]"), exitUsage,
		"broker_id is 0", "session_ttl", "log.level", "listeners[0].name is required and must be unique", "listeners[0].bind", "listeners[1].tls.cert_file")
	wants(t, command(t, "", "config --store-driver memory --peer-tls-ca-file /nonexistent --peer-tls-cert-file /nonexistent --peer-tls-key-file /nonexistent"), exitUsage, "/nonexistent")
	if err := os.WriteFile(file, []byte("session_ttl: banana\njournal: {cache_bytes: 3 parsecs, chunk_bytes: 5, read_bytes: 1}\npeer: {bind: ':99999', tls: {ca_file: x}}\nstore: {driver: mino}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere := []string{"--journal-keep-bytes=-1", "--kafka-default-partitions=0", "--kafka-fetch-max-bytes=1", "--upload-concurrency=0", "--upload-max-age=0s", "--read-attempts=0", "--read-memory-wait=0s",
		"--groups-max-size=0", "--groups-unload-after=0s", "--retention-interval=0s", "--retention-step-timeout=0s", "--garbage-interval=0s", "--garbage-grace=-1s", "--replication-factor=9", "--replication-silence=0s",
		"--replication-gather-for=-1s", "--etcd-endpoints=[]", "--etcd-prefix=x", "--store-max-connections=0", "--etcd-password-file=/nonexistent"}
	all := []string{"session_ttl: bad value `banana`", `journal.cache_bytes is "3 parsecs"`, "journal.chunk_bytes is 5", "journal.read_bytes is 1", "peer.bind is \":99999\"", "peer.tls.cert_file is empty", "peer.tls.key_file is empty",
		`store.driver: "mino" is not allowed`, "journal.keep_bytes is -1", "kafka.default_partitions is 0", "kafka.fetch_max_bytes is 1", "upload.concurrency: 0", "upload.max_age: 0s", "read.attempts: 0", "read.memory_wait: 0s",
		"groups.max_size: 0", "groups.unload_after: 0s", "retention.interval: 0s", "retention.step_timeout: 0s", "garbage.interval: 0s", "garbage.grace: -1s", "replication.factor is 9", "replication.silence is 0s",
		"replication.gather_for is -1s", "etcd.endpoints: []", `etcd.prefix: "x"`, "store.max_connections: 0", "etcd.password_file: open /nonexistent"}
	for _, c := range []string{"config", "agent", "dev"} {
		r := command(t, "", c+" --config "+file, everywhere...)
		if c == "dev" {
			all = slices.DeleteFunc(all, func(s string) bool { return s == "etcd.endpoints: []" }) // it has one of its own
		}
		wants(t, r, exitUsage, all...)
		if strings.Contains(r.err, "is 0:") && strings.Contains(r.err, "journal.cache_bytes is 0") || strings.Contains(r.err, "without") {
			t.Errorf("what can't be understood is told twice: %s", r.err)
		}
	}
	if err := os.WriteFile(file, []byte("a: b: c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, unread := range []string{file, "/nonexistent"} {
		if r := command(t, "", "agent --config "+unread); r.code != exitUsage || strings.Contains(r.err, "store.driver") {
			t.Errorf("%d: what an unread file doesn't set is told: %s", r.code, r.err)
		}
	}
	wants(t, command(t, "", "dev --data="), exitUsage, `--data is ""`)
	wants(t, command(t, "", "dev --data "+file+"/x"), exitUsage, "data_dir "+file+"/x (--data): ")
	t.Setenv("VARVE_SERVICE_HOST", "10.0.0.1")
	t.Setenv("VARVE_PORT", "tcp://10.0.0.1:9092")
	must(t, "", "config --store-driver memory")
}

// 'varve config' shows the shares of the memory as remarks, and reports what doesn't fit.
func TestConfigShowsMemory(t *testing.T) {
	fine := "config --store-driver memory --store-allow-local --memory 300MiB"
	printed := must(t, "", fine)
	for _, want := range []string{"\nmemory: 300MiB\n# memory is 300 MiB here, ", "\n#   journal_cache ", "\n# journal.cache_bytes: ", "\n# kafka.max_request_bytes: ", "# a share of memory\n"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is not in\n%s", want, printed)
		}
	}
	file := filepath.Join(t.TempDir(), "varve.yaml")
	if err := os.WriteFile(file, []byte(printed), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := must(t, "", "config --config "+file); again != printed {
		t.Errorf("read again it is\n%s\nit was\n%s", again, printed)
	}
	t.Setenv("VARVE_JOURNAL_CACHE_BYTES", "40MiB")
	wants(t, command(t, "", fine), exitOK, "\njournal.cache_bytes: 41943040\n", "\n# journal.read_bytes: ")
	wants(t, command(t, "", fine+" --upload-round-bytes 200MiB"), exitUsage, "memory is 300 MiB, but journal.cache_bytes (40 MiB), upload.round_bytes (200 MiB, for which 250 MiB are needed) and the least that all else works with")
	wants(t, command(t, "", fine+" --memory 50MiB"), exitUsage, "memory is 50 MiB, but journal.cache_bytes (40 MiB)")
	wants(t, command(t, "", "config --store-driver memory --memory lots"), exitUsage, `memory is "lots": must be a size`)
	if r := command(t, "", "config --store-driver memory --memory lots"); strings.Contains(r.err, "_bytes is 0") {
		t.Errorf("what follows from the memory is told as well: %s", r.err)
	}
}
