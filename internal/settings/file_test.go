package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type nested struct {
	Bytes    int64         `yaml:"max_bytes" doc:"a size"`
	Wait     time.Duration `yaml:"wait" doc:"a time"`
	Password string        `yaml:"password" secret:"true" doc:"a secret"`
	File     string        `yaml:"password_file" doc:"where it is"`
}

type whole struct {
	Name  string `yaml:"name" doc:"a name"`
	Empty string `yaml:"empty" doc:"empty"`
	On    bool   `yaml:"on" doc:"a switch"`
	Bytes int32  `yaml:"bytes" doc:"a size"`
	List  []struct {
		Bind string `yaml:"bind" doc:"where"`
	} `yaml:"list" doc:"several"`
	In nested `yaml:"in" doc:"nested"`
}

// What is printed line by line is what a file may have.
func TestLinesAreAFile(t *testing.T) {
	c := whole{Name: `a: "b" #c`, Bytes: 7, In: nested{Bytes: 1 << 40, Wait: time.Minute, File: "true"}}
	c.List = append(c.List, struct {
		Bind string `yaml:"bind" doc:"where"`
	}{":9092"})
	for _, name := range []string{"", "true", "1e3", "null", "~", " x ", "a\nb", "- a", "%", "0x1f", "2026-01-01", "@x", "{"} {
		c.Name = name
		var b strings.Builder
		for _, s := range Of(&c) {
			b.WriteString(s.Line() + "\n")
		}
		got := whole{Empty: "default", Name: "default", On: true}
		if err := FromYAML(&got, "f", []byte(b.String())); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v\n%s is %+v, want %+v", err, b.String(), got, c)
		}
	}
	c.In.Password = "hunter2"
	for _, s := range Of(&c) {
		if strings.Contains(s.Line(), "hunter2") {
			t.Error(s.Line())
		}
	}
}

func TestKeysWithDots(t *testing.T) {
	for content, want := range map[string]nested{
		"in.wait: 2s":                        {Wait: 2 * time.Second},
		"in: {wait: 2s}\nin.max_bytes: 3":    {Wait: 2 * time.Second, Bytes: 3},
		"in.max_bytes: 3\nin:\n  wait: 2s\n": {Wait: 2 * time.Second, Bytes: 3},
		"x: &a {wait: 2s}":                   {},
		"in: {max_bytes: 64MiB}":             {Bytes: 64 << 20},
		"in: {max_bytes: 1.5 GB}":            {Bytes: 1_500_000_000},
		"in: {max_bytes: '100k'}\n":          {Bytes: 100_000},
	} {
		var c whole
		err := FromYAML(&c, "f", []byte(content))
		if strings.HasPrefix(content, "x") {
			if err == nil {
				t.Error("an unknown key is accepted")
			}
			continue
		}
		if strings.Contains(content, "in.max_bytes: 3\nin:") {
			if err == nil { // twice, in two ways
				continue
			}
			if !strings.Contains(err.Error(), "already defined") {
				t.Error(err)
			}
			continue
		}
		if err != nil || c.In != want {
			t.Errorf("%q is %+v, %v", content, c.In, err)
		}
	}
}

// All that is wrong is reported at once, by line, with whole values and paths.
func TestAllMistakesAreTold(t *testing.T) {
	var c whole
	err := FromYAML(&c, "f", []byte("nmae: x\nin:\n  wiat: 1s\n  max_bytes: 3 parsecs\n  wait: a long time, too long\nlist:\n  - {bnid: x}\non: maybe\n"))
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for i, want := range []string{`f: line 1: unknown key "nmae"; did you mean name?`, `f: line 3: unknown key "in.wiat"; did you mean in.wait?`, `f: line 4: in.max_bytes is "3 parsecs": want a number of bytes`,
		"f: line 5: in.wait: bad value `a long time, too long`: want a duration", `f: line 7: unknown key "list[0].bnid"; did you mean list[0].bind?`, "f: line 8: on: bad value `maybe`: want true or false"} {
		lines := strings.Split(err.Error(), "\n")
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("%q is not line %d of\n%v", want, i, err)
		}
	}
	if err := FromEnv(&c, []string{"VARVE_NAMEE=x", "VARVE_ON=maybe", "VARVE_IN_MAX_BYTES=5 parsecs"}); err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), "did you mean VARVE_NAME?") {
		t.Errorf("environment: %v", err)
	}
	if err := FromEnv(&c, []string{"VARVE_IN_MAX_BYTES=2GiB", "VARVE_BYTES=1k"}); err != nil || c.In.Bytes != 2<<30 || c.Bytes != 1000 {
		t.Errorf("%v, %+v", err, c)
	}
	for _, large := range []string{"100PiB", "9223372036854775807", "99999999999PB"} {
		if err := FromEnv(&c, []string{"VARVE_BYTES=" + large}); err == nil {
			t.Errorf("%s fits 32 bits", large)
		}
	}
}

// A service in Kubernetes whose name begins with varve sets variables in all containers.
func TestVariablesOfKubernetes(t *testing.T) {
	var c whole
	fine := []string{"VARVE_SERVICE_HOST=10.0.0.1", "VARVE_SERVICE_PORT=9092", "VARVE_SERVICE_PORT_KAFKA=9092", "VARVE_PORT=tcp://10.0.0.1:9092", "VARVE_PORT_9092_TCP=tcp://10.0.0.1:9092",
		"VARVE_PORT_9092_TCP_PROTO=tcp", "VARVE_PORT_9092_TCP_PORT=9092", "VARVE_PORT_9092_TCP_ADDR=10.0.0.1", "VARVE_HEADLESS_SERVICE_HOST=10.0.0.1", "VARVE_1_PORT=tcp://10.0.0.1:9092", "VARVE_KAFKA_PORT_9_UDP_ADDR=x"}
	if err := FromEnv(&c, fine); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"VARVE_PORT=9092", "VARVE_HOST=x", "VARVE_SERVICE=x", "VARVE_PORTS=tcp://x:1"} {
		if err := FromEnv(&c, []string{bad}); err == nil {
			t.Errorf("%s is ignored", bad)
		}
	}
}

func TestSecretsInFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(name string, _ int64) ([]byte, error) { return os.ReadFile(name) }
	c := whole{In: nested{File: name}}
	if err := ReadSecrets(&c, read); err != nil || c.In.Password != "hunter2" {
		t.Errorf("%v, %+v", err, c)
	}
	if err := ReadSecrets(&c, read); err == nil || !strings.Contains(err.Error(), "in.password and in.password_file are both set") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	if err := os.WriteFile(name, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{name, name + "absent", filepath.Dir(name)} {
		c := whole{In: nested{File: file}}
		if err := ReadSecrets(&c, read); err == nil || !strings.Contains(err.Error(), "in.password_file: ") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A secret that a file is named for is in that file; others, and the names of files, aren't.
func TestInFile(t *testing.T) {
	type config struct {
		Password     string `yaml:"password" secret:"true" doc:"p"`
		PasswordFile string `yaml:"password_file" doc:"f"`
		Key          string `yaml:"key" secret:"true" doc:"k"`
		KeyFile      string `yaml:"key_file" doc:"f"`
	}
	all := Of(&config{Password: "x", PasswordFile: "/p", Key: "y"})
	var in []string
	for _, s := range all {
		if s.InFile(all) {
			in = append(in, s.Path)
		}
	}
	if len(in) != 1 || in[0] != "password" {
		t.Error(in)
	}
}
