// Package principal makes Kafka's names of callers from certificates: the subject as Java
// prints it, and the rules that map it (Kafka's ssl.principal.mapping.rules).
//
// It promises to name a subject as Kafka's broker does, so that ACLs can be taken over. It never
// looks at who signed a certificate.
package principal

import (
	"fmt"
	"regexp"
	"strings"
)

// Rules map the subject of a certificate to a name. None at all leave it as it is.
type Rules struct{ rules []rule }

// rule is one rule; a nil pattern is DEFAULT.
type rule struct {
	alternative bool           // it is for alternative names, not for the subject
	pattern     *regexp.Regexp // matches a whole subject
	find        *regexp.Regexp // the same, anywhere
	replacement string
	change      func(string) string // of the case; nil: none
}

// form is a rule as Kafka writes it, or one for alternative names, which Kafka doesn't have. A
// slash within a part is written \/.
var form = regexp.MustCompile(`^(RULE|SAN):((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/([LU]?)$`)

// Parse reads rules, which are tried in their order. Patterns are RE2's: what Java's have beyond
// that (look-ahead, back-references, possessive quantifiers) is an error.
func Parse(texts []string) (Rules, error) {
	var out Rules
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "DEFAULT" {
			out.rules = append(out.rules, rule{})
			continue
		}
		m := form.FindStringSubmatch(text)
		if m == nil {
			return Rules{}, fmt.Errorf("%q: must be DEFAULT, RULE:pattern/replacement/ or SAN:pattern/replacement/, with L or U after it for lower or upper case", text)
		}
		pattern := strings.ReplaceAll(m[2], `\/`, "/")
		find, err := regexp.Compile(pattern)
		if err != nil {
			return Rules{}, fmt.Errorf("%q: %w; patterns are those of RE2 (https://github.com/google/re2/wiki/Syntax), which has no look-ahead, back-references or possessive quantifiers", text, err)
		}
		r := rule{pattern: regexp.MustCompile(`\A(?:` + pattern + `)\z`), find: find, replacement: m[3], alternative: m[1] == "SAN"}
		switch m[4] {
		case "L":
			r.change = strings.ToLower
		case "U":
			r.change = strings.ToUpper
		}
		out.rules = append(out.rules, r)
	}
	return out, nil
}

// Name returns the name of a subject with its alternative names (see Alternatives), by the first
// rule whose pattern matches all of the subject, or of one of these.
func (r Rules) Name(subject string, alternatives ...string) (string, error) {
	if len(r.rules) == 0 {
		return subject, nil
	}
	for _, rule := range r.rules {
		if rule.pattern == nil {
			return subject, nil
		}
		texts := []string{subject}
		if rule.alternative {
			texts = alternatives
		}
		for _, text := range texts {
			if rule.pattern.MatchString(text) {
				return rule.apply(text), nil
			}
		}
	}
	return "", fmt.Errorf("no principal mapping rule matches %q or its alternative names %q", subject, alternatives)
}

// apply replaces every match of the pattern, as Java's replaceAll. Unlike that, it doesn't
// count an empty match right after another one: RULE:.*/x/ names everybody x, not xx.
func (r rule) apply(subject string) string {
	var b strings.Builder
	end := 0
	for _, at := range r.find.FindAllStringSubmatchIndex(subject, -1) {
		b.WriteString(subject[end:at[0]])
		expand(&b, r.replacement, subject, at)
		end = at[1]
	}
	b.WriteString(subject[end:])
	if r.change == nil {
		return b.String()
	}
	return r.change(b.String())
}

// expand writes a replacement: $n is what a group matched, \c is c. A group that the pattern
// doesn't have stands for itself.
func expand(b *strings.Builder, replacement, subject string, at []int) {
	groups := len(at)/2 - 1
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		switch {
		case c == '\\' && i+1 < len(replacement):
			i++
			b.WriteByte(replacement[i])
		case c == '$' && i+1 < len(replacement) && isDigit(replacement[i+1]) && int(replacement[i+1]-'0') <= groups:
			i++
			n := int(replacement[i] - '0')
			for i+1 < len(replacement) && isDigit(replacement[i+1]) && 10*n+int(replacement[i+1]-'0') <= groups {
				i++
				n = 10*n + int(replacement[i]-'0')
			}
			if at[2*n] >= 0 {
				b.WriteString(subject[at[2*n]:at[2*n+1]])
			}
		default:
			b.WriteByte(c)
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
