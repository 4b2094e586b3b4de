package settings

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type inner struct {
	Wait  time.Duration `yaml:"wait" doc:"how long"`
	Token string        `yaml:"token" secret:"true" doc:"who"`
}

type sample struct {
	Name  string   `yaml:"name" doc:"a name"`
	Count int32    `yaml:"count" doc:"a number"`
	On    bool     `yaml:"on" doc:"a switch"`
	List  []string `yaml:"list" doc:"several"`
	In    inner    `yaml:"in"`
}

func TestLaterSourcesOverride(t *testing.T) {
	c := sample{Name: "default", Count: 1, In: inner{Wait: time.Second}}
	set := pflag.NewFlagSet("x", pflag.ContinueOnError)
	flags := AddFlags(set, &c)
	if err := set.Parse([]string{"--in-wait=3s", "--list=[x, y]", "--on"}); err != nil {
		t.Fatal(err)
	}
	if err := FromYAML(&c, "f", []byte("name: file\ncount: 2\nin:\n  wait: 2s\n")); err != nil {
		t.Fatal(err)
	}
	if err := FromEnv(&c, []string{"VARVE_COUNT=3", "VARVE_IN_TOKEN=s3cret", "PATH=/"}); err != nil {
		t.Fatal(err)
	}
	if err := flags.Apply(&c); err != nil {
		t.Fatal(err)
	}
	want := sample{"file", 3, true, []string{"x", "y"}, inner{3 * time.Second, "s3cret"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if page := Markdown(&c); strings.Contains(page, "s3cret") || !strings.Contains(page, "`in.wait`") {
		t.Error(page)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	var c sample
	for content, want := range map[string]string{
		"nmae: x":                             `unknown key "nmae"; did you mean name?`,
		"in:\n  wiat: 1s":                     `unknown key "in.wiat"; did you mean in.wait?`,
		"count: many":                         "f: line 1: count: bad value `many`: want an integer",
		"in:\n  wait: soon":                   "f: line 2: in.wait: bad value `soon`: want a duration such as 30s",
		"in:\n  wait: 10":                     "f: line 2: in.wait: bad value `10`: want a duration",
		"list: x":                             "f: line 1: list: bad value `x`: want a list",
		"{in: {token: [x]}}":                  "f: line 1: in.token: bad value: want text",
		"in: 5":                               "f: line 1: in: bad value `5`: want settings below it",
		"count: aaaaaaaaaaaaaaaaaaaaaaaaaaaa": "f: line 1: count: bad value",
		"name: [":                             "f: yaml",
	} {
		if err := FromYAML(&c, "f", []byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := FromEnv(&c, []string{"VARVE_CUONT=3"}); err == nil || !strings.Contains(err.Error(), "VARVE_CUONT") {
		t.Error(err)
	}
	if err := FromEnv(&c, []string{"VARVE_LIST=[a"}); err == nil || !strings.Contains(err.Error(), "want [a, b, ...]") {
		t.Error(err)
	}
	if err := FromEnv(&c, []string{"VARVE_COUNT=three"}); err == nil || !strings.Contains(err.Error(), "three") {
		t.Error(err)
	}
}

// A list of texts needs no brackets where there is no YAML around it.
func TestListsWithoutBrackets(t *testing.T) {
	for text, want := range map[string][]string{"http://a:1": {"http://a:1"}, "a, b": {"a", "b"}, "[a, b]": {"a", "b"}, "[]": {}, "": nil} {
		c := sample{List: []string{"old"}}
		if err := FromEnv(&c, []string{"VARVE_LIST=" + text}); err != nil || !reflect.DeepEqual(c.List, want) {
			t.Errorf("%q is %q, %v; want %q", text, c.List, err, want)
		}
	}
}

func FuzzFromYAML(f *testing.F) {
	f.Add([]byte("name: file\ncount: 2\nin:\n  wait: 2s\n"))
	f.Add([]byte("a: &a [*a]\ncount: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c sample
		_ = FromYAML(&c, "f", b)
	})
}

// Settings of an inlined struct are settings of the one around it.
func TestInlinedSettings(t *testing.T) {
	var c struct {
		In struct {
			sample `yaml:",inline"`
			Own    int `yaml:"own"`
		} `yaml:"in"`
	}
	paths := map[string]bool{}
	for _, s := range Of(&c) {
		paths[s.Path] = true
	}
	for _, want := range []string{"in.name", "in.count", "in.own"} {
		if !paths[want] {
			t.Errorf("%s is missing among %v", want, paths)
		}
	}
}
