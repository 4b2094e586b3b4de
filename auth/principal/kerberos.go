package principal

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ShortRules make short names of the principals of Kerberos, as Kafka's
// sasl.kerberos.principal.to.local.rules.
type ShortRules struct {
	realm string // whose principals DEFAULT names
	rules []shortRule
}

// shortRule is one rule; it is DEFAULT if there is no format.
type shortRule struct {
	text        string
	components  int // of the principals that it is for
	format      string
	pattern     *regexp.Regexp // matches the whole of what format makes; nil: anything
	find        *regexp.Regexp // what is replaced; nil: nothing
	replacement string
	all         bool                // replace every match, not only the first
	change      func(string) string // of the case; nil: none
}

// shortForm is a rule as Kafka writes it: RULE:[n:format](pattern)s/find/replacement/gL.
var shortForm = regexp.MustCompile(`^(?:(DEFAULT)|RULE:\[(\d+):([^\]]*)\](?:\(([^)]*)\))?(?:s/([^/]*)/([^/]*)/(g)?)?/?(L|U)?)$`)

// formatPart is what a format consists of: text, and numbers of components.
var formatPart = regexp.MustCompile(`\$(\d*)`)

// ParseShort reads rules, which are tried in their order; none at all are DEFAULT. realm is the one
// whose principals DEFAULT names by their first component. Patterns are RE2's.
func ParseShort(realm string, texts []string) (ShortRules, error) {
	out := ShortRules{realm: realm}
	if len(texts) == 0 {
		texts = []string{"DEFAULT"}
	}
	for _, text := range texts {
		r, err := parseShort(strings.TrimSpace(text))
		if err != nil {
			return ShortRules{}, fmt.Errorf("%q: %w", text, err)
		}
		out.rules = append(out.rules, r)
	}
	return out, nil
}

func parseShort(text string) (r shortRule, err error) {
	m := shortForm.FindStringSubmatch(text)
	if m == nil {
		return r, errors.New("must be DEFAULT or RULE:[n:format](pattern)s/find/replacement/g, with L or U after it for lower or upper case; all after the brackets may be left out")
	}
	r.text = text
	if m[1] != "" {
		return r, nil
	}
	if r.components, err = strconv.Atoi(m[2]); err != nil {
		return r, fmt.Errorf("the number of components: %w", err)
	}
	r.format = m[3]
	for _, part := range formatPart.FindAllStringSubmatch(r.format, -1) {
		if n, err := strconv.Atoi(part[1]); err != nil || n > r.components {
			return r, fmt.Errorf("%s is no component of a principal with %d of them: $0 is the realm, $1 the first component", part[0], r.components)
		}
	}
	if r.format == "" {
		return r, errors.New("the format is empty")
	}
	compile := func(pattern string) (*regexp.Regexp, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w; %s", err, ofRE2)
		}
		return re, nil
	}
	if m[4] != "" {
		if _, err := compile(m[4]); err != nil {
			return r, err
		}
		r.pattern = regexp.MustCompile(`\A(?:` + m[4] + `)\z`)
	}
	if m[5] != "" {
		if r.find, err = compile(m[5]); err != nil {
			return r, err
		}
	}
	r.replacement, r.all = m[6], m[7] != ""
	r.change = cases[m[8]]
	return r, nil
}

// Name returns the short name of a principal, by the first rule that is for its number of
// components and matches. As Kafka, it names only principals of one or two components.
func (s ShortRules) Name(components []string, realm string) (string, error) {
	if n := len(components); n < 1 || n > 2 {
		return "", fmt.Errorf("%s has %d components: only principals with one or two have names", Display(components, realm), n)
	}
	for _, r := range s.rules {
		name, ok := r.apply(s.realm, components, realm)
		switch {
		case !ok:
			continue
		case strings.ContainsAny(name, "/@"):
			return "", fmt.Errorf("rule %q makes %q of %s, which is no short name: it has / or @", r.text, name, Display(components, realm))
		case name == "":
			return "", fmt.Errorf("rule %q makes an empty name of %s", r.text, Display(components, realm))
		case r.change != nil:
			return r.change(name), nil
		}
		return name, nil
	}
	hint := ""
	if slices.ContainsFunc(s.rules, func(r shortRule) bool { return r.format == "" }) {
		hint = ": DEFAULT is for principals of " + cmp.Or(s.realm, "the default realm")
	}
	return "", fmt.Errorf("no rule (principal_to_local_rules) is for %s%s", Display(components, realm), hint)
}

// apply returns the name that a rule makes, and whether it is for the principal.
func (r *shortRule) apply(defaultRealm string, components []string, realm string) (string, bool) {
	if r.format == "" {
		return components[0], realm == defaultRealm
	}
	if len(components) != r.components {
		return "", false
	}
	base := formatPart.ReplaceAllStringFunc(r.format, func(part string) string {
		n, _ := strconv.Atoi(part[1:]) // it was checked
		if n == 0 {
			return realm
		}
		return components[n-1]
	})
	if r.pattern != nil && !r.pattern.MatchString(base) {
		return "", false
	}
	if r.find == nil {
		return base, true
	}
	most := 1
	if r.all {
		most = -1
	}
	return replace(r.find, r.replacement, base, most), true
}

// Display returns a principal of Kerberos as it is usually written, such as kafka/host@REALM.
func Display(components []string, realm string) string {
	return strings.Join(components, "/") + "@" + realm
}
