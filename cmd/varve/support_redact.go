package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"varve/agent"
	"varve/internal/settings"
)

// redactor takes secrets out of whatever it is given. It knows those of the settings, of the files that they
// name, and of the environment; also as JSON, URLs and base64 write them.
type redactor struct {
	forms [][]byte // the longest first
	short []string // settings whose secrets are too short to be looked for
}

// leastSecret is the shortest text that is looked for: a shorter one would be found everywhere.
const leastSecret = 4

// leastPart is the shortest text that is looked for within words, too. Shorter ones are names or words themselves: with the
// access key "varve" no metric would keep its name.
const leastPart = 8

const hiddenText = "<hidden>"

// setting is a line of a configuration that looks as if it had a secret.
var setting = regexp.MustCompile(`(?i)(?:secret|password|token|access_key|credential|bootstrap_user)[a-z_]*["']?[ \t]*:[ \t]*(?:"([^"\n]*)|'([^'\n]*)|([^"'\s,}][^\s,}]*))`)

// userInfo is a name and password in a URL; a password may have a slash.
var userInfo = regexp.MustCompile(`://[^@\s"'?#]+@`)

// authorization is what follows the name of a header of HTTP, to the end of the line or of the text in quotes.
var authorization = regexp.MustCompile(`(?i)((?:authorization|x-amz-security-token|cookie)\\?"?\s*[:=]\s*\[?\s*\\?"?)[^"\\\r\n]+`)

// parameter is a credential in the parameters of a URL, or of a form.
var parameter = regexp.MustCompile(`(?i)([?&\s"'](?:x-amz-signature|x-amz-security-token|x-amz-credential|signature|sig|access_token|refresh_token|id_token|client_secret|password)=)[^&\s"'\\]+`)

// secretNames are parts of names of variables that hold secrets, of other programs' too.
var secretNames = []string{"SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "CREDENTIAL", "BOOTSTRAP_USER"}

// secretFiles are the last parts of settings that name files with a secret in text.
var secretFiles = []string{"password_file", "access_key_file", "secret_key_file", "session_token_file", "bootstrap_user_file", "secret_file"}

// newRedactor learns the secrets of the settings, and of variables of the form name=value. unread is a configuration that
// could not be read: what looks like a secret there is one.
func newRedactor(cfg *agent.Config, environ []string, unread []byte) *redactor {
	r := &redactor{}
	for _, s := range settings.Of(cfg) {
		switch {
		case s.Secret:
			r.learn(s.Path, s.Text())
		case slices.ContainsFunc(secretFiles, func(end string) bool { return s.Path == end || strings.HasSuffix(s.Path, "."+end) }) && s.Text() != "":
			if b, err := readBounded(s.Text(), settings.MaxSecret); err == nil {
				r.learnUser(s.Path, strings.TrimRight(string(b), "\r\n"))
			}
		}
	}
	r.learnUser(bootstrapVariable, cfg.Security.BootstrapUser)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasSuffix(name, "_FILE") && slices.ContainsFunc(secretNames, func(part string) bool { return strings.Contains(strings.ToUpper(name), part) }) {
			r.learnUser(name, value)
		}
	}
	for _, m := range setting.FindAllSubmatch(unread, -1) {
		r.learnUser("the configuration", string(slices.Concat(m[1:]...)))
	}
	slices.SortFunc(r.forms, func(a, b []byte) int { return cmp.Or(len(b)-len(a), bytes.Compare(a, b)) })
	r.forms = slices.CompactFunc(r.forms, bytes.Equal)
	return r
}

// learnUser learns a secret that may be name:password.
func (r *redactor) learnUser(name, text string) {
	r.learn(name, text)
	if _, password, ok := strings.Cut(text, ":"); ok {
		r.learn(name, password)
	}
}

func (r *redactor) learn(name, text string) {
	switch {
	case text == "":
		return
	case len(text) < leastSecret:
		r.short = append(r.short, name)
		return
	}
	quoted, _ := json.Marshal(text) // with < and & as \u003c and \u0026, which Go's log doesn't do
	for _, form := range []string{text, inQuotes(string(quoted)), inQuotes(strconv.Quote(text)), url.QueryEscape(text), url.PathEscape(text),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text))} {
		r.forms = append(r.forms, []byte(form))
	}
}

// inQuotes returns what stands between a text's quotation marks.
func inQuotes(text string) string { return text[1 : len(text)-1] }

// clean returns b without secrets.
func (r *redactor) clean(b []byte) []byte {
	for _, form := range r.forms {
		if len(form) < leastPart {
			b = hideWords(b, form)
		} else {
			b = bytes.ReplaceAll(b, form, []byte(hiddenText))
		}
	}
	b = userInfo.ReplaceAll(b, []byte("://"+hiddenText+"@"))
	b = authorization.ReplaceAll(b, []byte("${1}"+hiddenText))
	return parameter.ReplaceAll(b, []byte("${1}"+hiddenText))
}

// hideWords returns b with word hidden where it isn't a part of a longer word.
func hideWords(b, word []byte) []byte {
	var out []byte
	for done := 0; ; {
		i := bytes.Index(b[done:], word)
		if i < 0 {
			return append(out, b[done:]...)
		}
		from, to := done+i, done+i+len(word)
		escaped := from >= 2 && b[from-2] == '\\' || from >= 3 && b[from-3] == '%' // such as \n and %3A
		before := from > 0 && inWord(b[from-1]) && inWord(word[0]) && !escaped
		after := to < len(b) && inWord(b[to]) && inWord(word[len(word)-1])
		if before || after {
			out, done = append(out, b[done:from+1]...), from+1
			continue
		}
		out, done = append(append(out, b[done:from]...), hiddenText...), to
	}
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// variables lists the names of Varve's own variables that are set.
func variables(environ []string) string {
	var names []string
	for _, pair := range environ {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, settings.EnvPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n") + "\n"
}
