package broker

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// summary lists what an answer tells a caller about its rights: each part that it names
// with its error code, operations, and whether there is more. names has topics' names by
// their ids.
func summary(resp kmsg.Response, names map[[16]byte]string) []string {
	s := summarizer{names: names}
	s.walk("", reflect.ValueOf(resp).Elem())
	slices.Sort(s.lines)
	return s.lines
}

type summarizer struct {
	names map[[16]byte]string
	lines []string
}

// labels are the fields that name a part, told are those that are told of it, and unlisted
// are lists of which only is told whether they are empty.
var (
	labels   = []string{"Topic", "TopicID", "Group", "Key", "ResourceType", "ResourceName", "ResourcePatternType", "Principal", "Host", "Operation", "PermissionType", "Partition"}
	told     = []string{"ErrorCode", "ConfigErrorCode", "AuthorizedOperations", "ClusterAuthorizedOperations"}
	unlisted = []string{"Configs", "Dirs"}
	ignored  = []string{"Brokers", "Members", "UnknownTags", "AbortedTransactions", "ErrorRecords", "ActiveProducers", "Replicas", "ISR", "ReplicaNodes"}
)

func (s *summarizer) walk(path string, v reflect.Value) {
	var facts []string
	for _, name := range told {
		if f := v.FieldByName(name); f.IsValid() && (f.Int() != 0 || name == "ErrorCode") && f.Int() != -1<<31 {
			facts = append(facts, fmt.Sprintf("%s=%d", name, f.Int()))
		}
	}
	for _, name := range unlisted {
		if f := v.FieldByName(name); f.IsValid() && f.Len() > 0 {
			facts = append(facts, name)
		}
	}
	s.lines = append(s.lines, strings.TrimSpace(path+" "+strings.Join(facts, " ")))
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if f.Kind() != reflect.Slice || f.Type().Elem().Kind() != reflect.Struct || slices.Contains(unlisted, name) || slices.Contains(ignored, name) {
			continue
		}
		for k := range f.Len() {
			if label := s.label(f.Index(k)); !strings.HasPrefix(label, "__") {
				s.walk(strings.TrimSpace(path+" "+label), f.Index(k))
			}
		}
	}
}

// label names a part of an answer.
func (s *summarizer) label(v reflect.Value) string {
	var out []string
	for _, name := range labels {
		f := v.FieldByName(name)
		if !f.IsValid() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				out = append(out, "null")
				continue
			}
			f = f.Elem()
		}
		switch x := f.Interface().(type) {
		case [16]byte:
			if x != [16]byte{} {
				out = append(out, "id:"+s.names[x])
			}
		default:
			out = append(out, fmt.Sprint(x))
		}
	}
	return strings.Join(out, " ")
}
