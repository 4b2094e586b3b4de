package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"varve/agent"
	"varve/internal/settings"
)

// unpack reads a bundle, by the names of its files without the folder.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		all[name] = string(b)
	}
}

// canary is a secret that is easy to find, with characters that JSON and URLs write otherwise.
func canary(of string) string { return `CANARY-"&+/` + of + `-x` }

// logOf is a log that has secrets in all forms that logs have.
func logOf(secrets []string) string {
	var log strings.Builder
	log.WriteString("a line that stays\n")
	for _, s := range secrets {
		quoted, _ := json.Marshal(s)
		fmt.Fprintf(&log, "level=ERROR err=%q raw=%s json=%s url=%s base64=%s\n", s, s, quoted, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	log.WriteString("url=https://CANARY-user:CANARY-password@host/path Authorization: Bearer CANARY.token\n")
	return log.String()
}

// No secret gets into a bundle, wherever it was set and in whatever form a log has it.
func TestSupportBundleHasNoSecrets(t *testing.T) {
	a := startAgent(t, func(c *agent.Config) { c.Pprof = true })
	must(t, "", "topic create bundled -p 1")
	must(t, "a\n", "produce bundled")
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := agent.SharedConfig()
	var direct, inFiles strings.Builder
	of := map[string][]string{}
	for _, s := range settings.Of(&cfg) {
		switch {
		case s.Secret:
			of["direct"] = append(of["direct"], canary(s.Path))
			fmt.Fprintf(&direct, "%s: '%s'\n", s.Path, canary(s.Path))
		case slices.ContainsFunc(secretFiles, func(end string) bool { return strings.HasSuffix(s.Path, end) }):
			of["files"] = append(of["files"], canary(s.Path), "someone:"+canary(s.Path))
			fmt.Fprintf(&inFiles, "%s: %s\n", s.Path, write(s.Path, "someone:"+canary(s.Path)+"\n"))
		}
	}
	if len(of["direct"]) < 4 || len(of["files"]) < 12 {
		t.Fatalf("too few secrets: %v", of)
	}
	t.Setenv(bootstrapVariable, "root:"+canary("bootstrap"))
	t.Setenv("AWS_SECRET_ACCESS_KEY", canary("aws"))
	t.Setenv("VARVE_LOG_LEVEL", "info")
	for name, extra := range map[string]string{"direct": direct.String() + "etcd.username: me\n", "files": inFiles.String()} {
		t.Run(name, func(t *testing.T) {
			secrets := append(of[name], canary("bootstrap"), canary("aws"))
			logFile := write("varve.log", logOf(secrets))
			config := write(name+".yaml", "data_dir: "+a.dir+"\nsecurity.oauth.jwks_url: https://CANARY-me:CANARY-pw@provider.example/keys\n"+extra)
			out := filepath.Join(dir, name+".tar.gz")
			r := command(t, "", "support bundle --config "+config+" --http "+a.http+" --log "+logFile+" -o "+out)
			wants(t, r, exitOK, "parts")
			if strings.Contains(r.out+r.err, "CANARY") {
				t.Errorf("printed: %s%s", r.out, r.err)
			}
			all := unpack(t, out)
			for name, text := range all {
				if i := strings.Index(text, "CANARY"); i >= 0 {
					t.Errorf("%s has %q", name, text[i:min(len(text), i+60)])
				}
				for _, s := range secrets {
					if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))) {
						t.Errorf("%s has %q in base64", name, s)
					}
				}
			}
			for name, has := range map[string]string{"manifest.json": "config.yaml", "config.yaml": "data_dir: " + a.dir, "logs/1-varve.log": "a line that stays", "agent/metrics.txt": "varve_ready 1", "agent/readyz.txt": "ready",
				"agent/goroutines.txt": "goroutine profile", "cluster/health.json": `"level"`, "agent/status.json": `"broker"`, "agent/journals.json": "{", "cluster/cluster.json": "agents", "journals.json": `"journal"`, "version.json": `"go"`, "environment.txt": "VARVE_LOG_LEVEL\n"} {
				if !strings.Contains(all[name], has) {
					t.Errorf("%s lacks %q: %q", name, has, all[name][:min(len(all[name]), 200)])
				}
			}
		})
	}
}

// Without an agent the bundle has what is left, says what is missing, and replaces no file.
func TestSupportBundleWithoutAgent(t *testing.T) {
	dir := t.TempDir()
	out, log := filepath.Join(dir, "b.tar.gz"), filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte(strings.Repeat("0123456789abcdef\n", 1<<17)+"the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := "support bundle --http 127.0.0.1:1 --log-mb 1 --log " + log + " -o " + out
	wants(t, command(t, "", line), exitUnavailable, "agent/readyz.txt: no agent answers")
	all := unpack(t, out)
	var m struct{ Parts []bundlePart }
	if err := json.Unmarshal([]byte(all["manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(m.Parts, func(p bundlePart) bool { return p.File == "agent/readyz.txt" && p.Problem != "" && p.Bytes == 0 }) {
		t.Errorf("%+v", m.Parts)
	}
	if text := all["logs/1-log"]; len(text) > 1<<20 || !strings.HasPrefix(text, "0123") || !strings.HasSuffix(text, "the end\n") {
		t.Errorf("%d bytes of the log", len(text))
	}
	wants(t, command(t, "", line), exitUsage, "exists")
}

// A secret in the name of a log's file isn't in the bundle either, nor in what is printed.
func TestSupportBundleHidesSecretsInNames(t *testing.T) {
	var buf bytes.Buffer
	cfg := agent.SharedConfig()
	b := newBundle(&buf, newRedactor(&cfg, []string{"SOME_TOKEN=CANARY"}, nil), "dir", time.Unix(0, 0))
	if err := b.add(t.Context(), "logs/1-CANARY.log", "a log", func(context.Context) ([]byte, error) { return []byte("line\n"), nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	gz, err := gzip.NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(gz)
	if err != nil || bytes.Contains(all, []byte("CANARY")) || strings.Contains(b.parts[0].File, "CANARY") {
		t.Errorf("%v: a name has the secret: %q", err, b.parts[0].File)
	}
}

// A short secret is hidden where it is a word, and the names of which it is a part are kept: with the access key "varve", which
// 'make cluster' has, no metric had its name.
func TestShortSecretsAreWords(t *testing.T) {
	r := newRedactor(&agent.Config{}, []string{"A_SECRET=varve", "A_TOKEN=p@s!"}, nil)
	for in, want := range map[string]string{
		"varve_ready 1\nvarve_ready 0\n":          "varve_ready 1\nvarve_ready 0\n",
		`key "varve" is wrong: varve`:             `key "<hidden>" is wrong: <hidden>`,
		`{"text":"it was\nvarve"} ?key=varve&x=1`: `{"text":"it was\n<hidden>"} ?key=<hidden>&x=1`,
		"a%3Avarve xvarve varvevarve":             "a%3A<hidden> xvarve varvevarve",
		"xp@s! p@s!x p@s!":                        "xp@s! <hidden>x <hidden>",
	} {
		if got := string(r.clean([]byte(in))); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// The secrets of a configuration that can't be read are hidden, too.
func TestSecretsOfUnreadSettings(t *testing.T) {
	dir := t.TempDir()
	out, log, file := filepath.Join(dir, "b.tar.gz"), filepath.Join(dir, "log"), filepath.Join(dir, "varve.yaml")
	for name, text := range map[string]string{
		log:  "refused: CANARY-1, CANARY-2 and CANARY-3\n",
		file: "store:\n  secret_key: \"CANARY-1\n  access_key: CANARY-2\netcd: {password: 'CANARY-3'}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, command(t, "", "support bundle --http 127.0.0.1:1 --config "+file+" --log "+log+" -o "+out), exitUnavailable, "refuses these settings")
	for name, text := range unpack(t, out) {
		if strings.Contains(text, "CANARY") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// Credentials that others' programs and libraries write into logs are hidden, whatever the settings are.
func TestCredentialsInLogs(t *testing.T) {
	r := newRedactor(&agent.Config{}, nil, nil)
	for _, line := range []string{
		`get http://me:CANARY/pa/ss@host:80/x`,
		`url=https://bucket/key?X-Amz-Signature=CANARY&x=1`,
		`url=https://bucket/key?x=1&X-Amz-Security-Token=CANARY%2F&x=2`,
		`url="https://idp/token?access_token=CANARY"`,
		`url=https://blob/key?sv=1&sig=CANARY%3D`,
		`Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=CANARY`,
		`{"headers":{"Authorization":["Bearer CANARY"]}}`,
		`msg="{\"Authorization\":[\"Bearer CANARY\"]}"`,
		`x-amz-security-token: CANARY/+=`,
		`authorization=Basic CANARY==`,
	} {
		if out := string(r.clean([]byte(line + "\nnext line is kept\n"))); strings.Contains(out, "CANARY") || !strings.Contains(out, "next line is kept") {
			t.Errorf("%s is %s", line, out)
		}
	}
	for _, line := range []string{`level=INFO msg="uploads go on" bucket=https://minio:9000/b partition=t-1`, `see https://host/a?b=c#d`} {
		if out := string(r.clean([]byte(line))); out != line {
			t.Errorf("%s is %s", line, out)
		}
	}
}

// The variables in the file that the agent's unit reads are settings, and their secrets are hidden.
func TestEnvironmentFile(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "varve.yaml")
	for name, text := range map[string]string{"varve.yaml": "data_dir: " + dir + "\n", "environment": "# of the unit\nVARVE_STORE_SECRET_KEY='CANARY in a file'\nVARVE_UPLOAD_MAX_AGE=\"7s\"\n", "bad": "VARVE_X\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"VARVE_STORE_SECRET_KEY", "VARVE_UPLOAD_MAX_AGE"} {
		t.Setenv(name, "") // to be put back
		os.Unsetenv(name)
	}
	log := filepath.Join(dir, "varve.log")
	if err := os.WriteFile(log, []byte("failed with CANARY in a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "bundle.tar.gz")
	r := command(t, "", "support bundle --config "+config+" --http 127.0.0.1:1 --timeout 300ms --log "+log+" -o "+out)
	wants(t, r, exitUnavailable)
	files := unpack(t, out)
	for name, text := range files {
		if strings.Contains(text, "CANARY") {
			t.Errorf("%s: %s", name, text)
		}
		if strings.HasSuffix(name, "config.yaml") && !strings.Contains(text, "max_age: 7s") {
			t.Errorf("%s lacks the file's setting: %s", name, text)
		}
	}
	if r := command(t, "", "doctor --config "+config+" --environment-file "+filepath.Join(dir, "bad")); r.code != exitUsage || !strings.Contains(r.err, "bad:1: want NAME=VALUE") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if r := command(t, "", "doctor --config "+config+" --environment-file "+filepath.Join(dir, "missing")); r.code != exitUsage {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
}
