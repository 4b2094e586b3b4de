// Package settings fills a struct of settings from a YAML file, the environment
// and command-line flags, each overriding the one before, and describes it.
//
// A setting is a leaf field with a yaml tag; its path joins the tags with dots
// ("kafka.max_connections"), its variable is VARVE_KAFKA_MAX_CONNECTIONS and its
// flag --kafka-max-connections. A doc tag describes it; secret:"true" hides its
// value, and a setting of the same name with _file after it may name a file that holds it.
// Names that end in bytes may have a unit. A setting with share:"..." that is zero stands for
// a share of what the tag names. Unknown keys and bad values are errors that name
// them; all are reported at once.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// EnvPrefix begins the names of all environment variables.
const EnvPrefix = "VARVE_"

// Setting is one leaf of a struct of settings.
type Setting struct {
	Path   string
	Doc    string
	Type   string
	Secret bool
	Share  string // of what it is a share while it is zero; "" if zero is a value like others
	value  reflect.Value
}

// Env is the name of its environment variable.
func (s Setting) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(s.Path, ".", "_"))
}

// Flag is the name of its command-line flag.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Path)
}

// Equal reports whether the other one, of the same path, has the same value.
func (s Setting) Equal(other Setting) bool {
	return reflect.DeepEqual(s.value.Interface(), other.value.Interface())
}

// Shares reports whether the setting is left to be a share of another.
func (s Setting) Shares() bool { return s.Share != "" && s.value.IsZero() }

// Text is the value of a setting that is a text, even of a secret; "" of others.
func (s Setting) Text() string {
	if s.value.Kind() != reflect.String {
		return ""
	}
	return s.value.String()
}

// Line is a line of a file that sets it, which FromYAML reads. A secret that is set is only
// remarked.
func (s Setting) Line() string {
	if s.Secret && !s.value.IsZero() {
		return "# " + s.Path + ": <hidden>"
	}
	if s.Shares() {
		return "# " + s.Path + ": " + s.String()
	}
	text := s.String()
	if s.value.Kind() == reflect.String {
		b, err := yaml.Marshal(text)
		if err != nil || strings.ContainsAny(text, "\n\r") {
			b = fmt.Appendf(nil, "%q", text)
		}
		text = strings.TrimSpace(string(b))
	}
	return s.Path + ": " + text
}

// InFile reports whether the value is a secret that another of the settings names a file for, which is read again
// when it changes.
func (s Setting) InFile(all []Setting) bool {
	return s.Secret && slices.ContainsFunc(all, func(f Setting) bool { return f.Path == s.Path+"_file" && !f.value.IsZero() })
}

// Hidden lists the secrets that a file of their Lines lacks: those that are set, and not
// read from a file that another setting names.
func Hidden(all []Setting) (out []string) {
	files := map[string]bool{}
	for _, s := range all {
		files[s.Path] = !s.value.IsZero()
	}
	for _, s := range all {
		if s.Secret && !s.value.IsZero() && !files[s.Path+"_file"] {
			out = append(out, s.Path)
		}
	}
	return out
}

// String is its value in YAML's flow form; a secret that is set is hidden.
func (s Setting) String() string {
	if s.Secret && !s.value.IsZero() {
		return "<hidden>"
	}
	if s.Shares() {
		return "share of " + s.Share
	}
	switch v := s.value.Interface().(type) {
	case string:
		return v
	case time.Duration:
		return v.String()
	}
	var node yaml.Node
	if err := node.Encode(s.value.Interface()); err != nil {
		return fmt.Sprint(s.value.Interface())
	}
	flow(&node)
	b, err := yaml.Marshal(&node)
	if err != nil {
		return fmt.Sprint(s.value.Interface())
	}
	return strings.TrimSpace(string(b))
}

func flow(n *yaml.Node) {
	n.Style = yaml.FlowStyle
	for _, c := range n.Content {
		flow(c)
	}
}

// Set parses a value, in YAML's flow form for lists. A list of texts may also be given as
// these alone, separated by commas.
func (s Setting) Set(text string) error {
	if s.value.Kind() == reflect.String {
		s.value.SetString(text)
		return nil
	}
	if s.value.Type() == reflect.TypeFor[[]string]() && text != "" && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		list := strings.Split(text, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		s.value.Set(reflect.ValueOf(list))
		return nil
	}
	if isSize(s.Path[strings.LastIndexByte(s.Path, '.')+1:]) {
		plain, err := withoutUnit(text)
		if err != nil {
			return err
		}
		text = plain
	}
	fresh := reflect.New(s.value.Type())
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(fresh.Interface()); err != nil && !errors.Is(err, io.EOF) {
		if s.Secret {
			text = "<hidden>"
		}
		return fmt.Errorf("%q is no %s%s", text, s.Type, s.like())
	}
	s.value.Set(fresh.Elem())
	return nil
}

// like shows what a value of a type that isn't plain looks like.
func (s Setting) like() string {
	switch t := s.value.Type(); {
	case t == reflect.TypeFor[time.Duration]():
		return ": want one such as 30s"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		var keys []string
		for i := range t.Elem().NumField() {
			name, _, _ := strings.Cut(t.Elem().Field(i).Tag.Get("yaml"), ",")
			keys = append(keys, name+": ...")
		}
		return ": want [{" + strings.Join(keys, ", ") + "}, ...]"
	case t.Kind() == reflect.Slice:
		return ": want [a, b, ...]"
	}
	return ""
}

// Of lists the settings of a struct, given by pointer, in order of its fields.
func Of(config any) []Setting {
	return leaves(nil, "", reflect.ValueOf(config).Elem())
}

func leaves(out []Setting, prefix string, v reflect.Value) []Setting {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if opts == "inline" {
			out = leaves(out, prefix, v.Field(i))
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			out = leaves(out, prefix+name+".", v.Field(i))
			continue
		}
		out = append(out, Setting{Path: prefix + name, Doc: f.Tag.Get("doc"), Type: cmp.Or(f.Tag.Get("type"), typeName(name, f.Type)), Secret: f.Tag.Get("secret") == "true", Share: f.Tag.Get("share"), value: v.Field(i)})
	}
	return out
}

func typeName(name string, t reflect.Type) string {
	switch {
	case isSize(name):
		return "size"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Float64:
		return "number"
	}
	return "integer"
}

// Unread is the error of a file of which nothing is known: what it sets can't be judged.
type Unread struct{ Err error }

func (e Unread) Error() string { return e.Err.Error() }
func (e Unread) Unwrap() error { return e.Err }

// FromYAML fills the struct from a file's content; name is said in errors, of which all
// are reported. A setting below others is nested, or named with dots.
func FromYAML(config any, name string, content []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return Unread{fmt.Errorf("%s: %w", name, err)}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	was := places(content)
	t := &tree{seen: map[*yaml.Node]bool{}}
	t.walk(doc.Content[0], reflect.TypeOf(config).Elem(), "")
	err := doc.Content[0].Decode(config)
	var typed *yaml.TypeError
	switch {
	case errors.As(err, &typed):
		t.errs = append(t.errs, plain(typed.Errors, was)...)
	case err != nil:
		return Unread{fmt.Errorf("%s: %w", name, err)}
	}
	slices.SortStableFunc(t.errs, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, e := range t.errs {
		errs = append(errs, fmt.Errorf("%s: line %d: %s", name, e.line, e.text))
	}
	return errors.Join(errs...)
}

// injected are the variables that Kubernetes sets in every container for a service whose
// name begins like the prefix.
var injected = regexp.MustCompile(`^VARVE_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$`)

// isInjected reports whether a variable is one of Kubernetes', and not meant as a
// setting: its ports are URLs.
func isInjected(name, value string) bool {
	return injected.MatchString(name) && (!strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_") || strings.Contains(name, "SERVICE_PORT") || strings.Contains(value, "://"))
}

// FromEnv fills the struct from the environment. A variable with the prefix that
// names no setting is an error, but for those of Kubernetes' services. All errors are reported.
func FromEnv(config any, environ []string, known ...string) error {
	by := map[string]Setting{}
	names := slices.Clone(known)
	for _, s := range Of(config) {
		by[s.Env()] = s
		names = append(names, s.Env())
	}
	var errs []error
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(known, name) {
			continue
		}
		s, ok := by[name]
		if !ok {
			if !isInjected(name, value) {
				errs = append(errs, fmt.Errorf("environment variable %s names no setting%s", name, didYouMean(name, names)))
			}
			continue
		}
		if err := s.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s (%s): %w", name, s.Path, err))
		}
	}
	return errors.Join(errs...)
}

// flagValue keeps a flag's text until the file and the environment were read.
type flagValue struct {
	s    Setting
	text *string
}

func (f flagValue) String() string {
	if f.text == nil || !f.s.value.IsValid() {
		return ""
	}
	return f.s.String()
}
func (f flagValue) Set(t string) error { *f.text = t; return nil }
func (f flagValue) Type() string       { return f.s.Type }

// Flags are the flags of a struct of settings.
type Flags struct {
	set   *pflag.FlagSet
	texts map[string]*string
}

// AddFlags adds a flag for every setting of the struct, with its present value
// as default.
func AddFlags(set *pflag.FlagSet, config any) *Flags {
	f := &Flags{set, map[string]*string{}}
	for _, s := range Of(config) {
		text := new(string)
		f.texts[s.Path] = text
		flag := set.VarPF(flagValue{s, text}, s.Flag(), "", s.Doc)
		if s.Type == "boolean" {
			flag.NoOptDefVal = "true"
		}
	}
	return f
}

// Apply fills the struct with the flags that were given.
func (f *Flags) Apply(config any) error {
	var errs []error
	for _, s := range Of(config) {
		if !f.set.Changed(s.Flag()) {
			continue
		}
		if err := s.Set(*f.texts[s.Path]); err != nil {
			errs = append(errs, fmt.Errorf("--%s (%s): %w", s.Flag(), s.Path, err))
		}
	}
	return errors.Join(errs...)
}

// Markdown is the reference page of a struct's settings.
func Markdown(config any) string {
	var b strings.Builder
	b.WriteString("| setting | type | default | what it is |\n|---|---|---|---|\n")
	for _, s := range Of(config) {
		value := s.String()
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Path, s.Type, value, strings.ReplaceAll(s.Doc, "|", "\\|"))
	}
	return b.String()
}
