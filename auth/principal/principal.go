// Package principal makes Kafka's names of callers: from certificates, of which it takes the subject
// as Java prints it, and the rules that map it (Kafka's ssl.principal.mapping.rules); and from principals of
// Kerberos (Kafka's sasl.kerberos.principal.to.local.rules).
//
// It promises to name callers as Kafka's broker does, so that ACLs can be taken over. It never
// looks at who signed a certificate or a ticket.
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

// ofRE2 says what a pattern may have.
const ofRE2 = "patterns are those of RE2 (https://github.com/google/re2/wiki/Syntax), which has no look-ahead, back-references or possessive quantifiers"

// cases are the changes of the case that may stand at the end of a rule.
var cases = map[string]func(string) string{"L": strings.ToLower, "U": strings.ToUpper}

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
			return Rules{}, fmt.Errorf("%q: %w; %s", text, err, ofRE2)
		}
		out.rules = append(out.rules, rule{pattern: regexp.MustCompile(`\A(?:` + pattern + `)\z`), find: find, replacement: m[3], alternative: m[1] == "SAN", change: cases[m[4]]})
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

// apply replaces every match of the pattern.
func (r rule) apply(subject string) string {
	name := replace(r.find, r.replacement, subject, -1)
	if r.change == nil {
		return name
	}
	return r.change(name)
}

// replace replaces at most so many matches of a pattern in a text, -1: all, as Java's replaceAll.
// Unlike that, it doesn't count an empty match right after another one: RULE:.*/x/ names everybody
// x, not xx.
func replace(find *regexp.Regexp, replacement, text string, most int) string {
	var b strings.Builder
	end := 0
	for _, at := range find.FindAllStringSubmatchIndex(text, most) {
		b.WriteString(text[end:at[0]])
		expand(&b, replacement, text, at)
		end = at[1]
	}
	b.WriteString(text[end:])
	return b.String()
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
