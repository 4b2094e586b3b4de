package principal

import (
	"strings"
	"testing"

	"varve/internal/workbound"
)

// Names that Kafka 4.3.1's KerberosShortNamer gives, with EXAMPLE.COM as default realm.
func TestShortNamesAreKafkas(t *testing.T) {
	for _, c := range []struct {
		rules           string // separated by " ; "
		principal, name string // "": none
	}{
		{"", "alice@EXAMPLE.COM", "alice"},
		{"", "kafka/host@EXAMPLE.COM", "kafka"},
		{"", "alice@OTHER.COM", ""},
		{"DEFAULT", "alice@EXAMPLE.COM", "alice"},
		{"RULE:[1:$1]", "alice@OTHER.COM", "alice"},
		{"RULE:[1:$1@$0](.*@OTHER.COM)s/@.*//", "alice@OTHER.COM", "alice"},
		{"RULE:[1:$1@$0](.*@OTHER.COM)s/@.*// ; DEFAULT", "alice@EXAMPLE.COM", "alice"},
		{"RULE:[2:$1-$2](.*)s/-/_/g/U", "kafka/a-b-c@EXAMPLE.COM", "KAFKA_A_B_C"},
		{"RULE:[2:$1-$2](.*)s/-/_/", "kafka/a-b-c@EXAMPLE.COM", "kafka_a-b-c"},
		{"RULE:[2:$1-$2]/L", "Kafka/Host@EXAMPLE.COM", "kafka-host"},
		{"RULE:[2:$1-$2]L", "Kafka/Host@EXAMPLE.COM", "kafka-host"},
		{"RULE:[2:$1](kafka)s/(k)(.*)/$2$1/", "kafka/Host@EXAMPLE.COM", "afkak"},
		{"RULE:[1:$1@$0]", "alice@EXAMPLE.COM", ""},
		{"RULE:[1:$1@$0] ; DEFAULT", "alice@EXAMPLE.COM", ""},
		{"RULE:[2:$1/$2]", "kafka/host@EXAMPLE.COM", ""},
		{"RULE:[1:$1](a)", "alice@EXAMPLE.COM", ""},
		{"RULE:[1:$1](a.*)s/x*/-/g", "alice@EXAMPLE.COM", "-a-l-i-c-e-"},
		{"RULE:[1:$1](a.*)s/x*/-/", "alice@EXAMPLE.COM", "-alice"},
		{"RULE:[1:$1](a.*)s/.*//", "alice@EXAMPLE.COM", ""}, // Kafka's is a user without a name
		{"RULE:[1:$1]s/a/b/", "alice@EXAMPLE.COM", "blice"},
		{"RULE:[1:$1]s/a/b/g", "banana@EXAMPLE.COM", "bbnbnb"},
		{"RULE:[1:$1]s/a/b/gL", "BANANa@EXAMPLE.COM", "bananb"},
		{"RULE:[1:$1]s/a/b/g/L", "BANANa@EXAMPLE.COM", "bananb"},
		{"RULE:[1:pre-$1-post]", "alice@EXAMPLE.COM", "pre-alice-post"},
		{"RULE:[3:$1]", "alice@EXAMPLE.COM", ""},
		{"RULE:[2:$2] ; RULE:[1:$0]", "alice@EXAMPLE.COM", "EXAMPLE.COM"},
		{"RULE:[0:$0]", "alice@EXAMPLE.COM", ""},
		{`RULE:[1:$1](.*)s/a/\$/`, "alice@EXAMPLE.COM", "$lice"},
		{"RULE:[1:$1](.*)s/al(.*)/<$1>/", "alice@EXAMPLE.COM", "<ice>"},
		{"RULE:[1:$1](.*)s/^a/b/ ; RULE:[1:x]", "alice@EXAMPLE.COM", "blice"},
		{"RULE:[2:$1](kafka)s/kafka/admin/ ; DEFAULT", "kafka/h@EXAMPLE.COM", "admin"},
		{"DEFAULT", "a/b/c@EXAMPLE.COM", ""},
		{"RULE:[3:$1]", "a/b/c@EXAMPLE.COM", ""},
		{"RULE:[2:$1-$2](.*-admin) ; RULE:[1:$1@$0](.*@PARTNER.COM)s/@.*/-partner/L ; DEFAULT", "alice/admin@EXAMPLE.COM", "alice-admin"},
		{"RULE:[2:$1-$2](.*-admin) ; RULE:[1:$1@$0](.*@PARTNER.COM)s/@.*/-partner/L ; DEFAULT", "Bob@PARTNER.COM", "bob-partner"},
		{"RULE:[2:$1-$2](.*-admin) ; RULE:[1:$1@$0](.*@PARTNER.COM)s/@.*/-partner/L ; DEFAULT", "alice/other@EXAMPLE.COM", "alice"},
	} {
		var texts []string
		if c.rules != "" {
			texts = strings.Split(c.rules, " ; ")
		}
		r, err := ParseShort("EXAMPLE.COM", texts)
		if err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		name, realm, _ := strings.Cut(c.principal, "@")
		if got, err := r.Name(strings.Split(name, "/"), realm); got != c.name || (err == nil) != (c.name != "") {
			t.Errorf("%s of %s: %q, %v, want %q", c.rules, c.principal, got, err, c.name)
		}
	}
}

// What Kafka refuses when it starts, or only when somebody logs in, is refused at the start.
func TestBadShortRulesAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"": "must be", "default": "must be", "DEFAULTX": "must be", "RULE:[:$1]": "must be", "RULE:[1:$1": "must be", "RULE:[1:$1]X": "must be", "RULE:[1:$1]s/a/b": "must be", "RULE:[x:$1]": "must be",
		"RULE:[1:$2]": "no component", "RULE:[1:$]": "no component", "RULE:[1:$10]": "no component", "RULE:[1:$99999999999999999999]": "no component", "RULE:[99999999999999999999:$1]": "number of components", "RULE:[1:]": "empty",
		"RULE:[1:$1](()": "RE2", "RULE:[1:$1](a++)": "RE2", "RULE:[1:$1](.*)s/(?=a//": "RE2",
	} {
		if _, err := ParseShort("R", []string{"DEFAULT", text}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzShortNames(f *testing.F) {
	f.Add("RULE:[2:$1-$2](.*)s/-/_/g/U", "kafka", "host", "R")
	f.Fuzz(func(t *testing.T, text, one, two, realm string) {
		workbound.Check(t, len(text)+len(one)+len(two)+len(realm), func() {
			r, err := ParseShort("R", []string{text, "DEFAULT"})
			if err != nil {
				return
			}
			if name, err := r.Name([]string{one, two}, realm); err == nil && (name == "" || strings.ContainsAny(name, "/@")) {
				t.Errorf("%q is no name", name)
			}
		})
	})
}
