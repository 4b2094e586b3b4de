package cluster

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"varve/metadata/schema"
)

// Check reports whether value is allowed.
func (d *Definition) Check(value string) error {
	why := d.problem(value)
	if why == "" && d.Also != nil {
		why = d.Also(value)
	}
	if why != "" {
		return Refuse(ErrConfigValue, "Invalid value %s for configuration %s: %s", value, d.Name, why)
	}
	return nil
}

// problem returns what is wrong with a value by its type and bounds; "" is nothing.
func (d *Definition) problem(value string) string {
	switch d.Type {
	case TypeInt, TypeLong, TypeShort:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return "not a number of type " + d.typeName()
		}
		if float64(n) < d.Min || float64(n) > d.Max {
			return "value must be " + d.bounds()
		}
	case TypeDouble:
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || math.IsNaN(n) || n < d.Min || n > d.Max {
			return fmt.Sprintf("value must be from %v to %v", d.Min, d.Max)
		}
	case TypeList:
		for _, e := range SplitList(value) {
			if d.OneOf != nil && !slices.Contains(d.OneOf, e) {
				return "entries must be one of " + strings.Join(d.OneOf, ", ")
			}
		}
	default:
		if d.OneOf != nil && !slices.Contains(d.OneOf, d.Canonical(value)) {
			return "value must be one of " + strings.Join(d.OneOf, ", ")
		}
	}
	return ""
}

func (d *Definition) typeName() string {
	if d.Type == TypeInt {
		return "INT"
	}
	return "LONG"
}

func (d *Definition) bounds() string {
	if d.Max == math.MaxInt64 {
		return fmt.Sprintf("at least %.0f", d.Min)
	}
	return fmt.Sprintf("from %.0f to %.0f", d.Min, d.Max)
}

// Canonical is the form in which a value is stored, as Kafka stores it: booleans in
// small letters, lists without empty elements and repetitions, everything without blanks
// around it.
func (d *Definition) Canonical(value string) string {
	switch d.Type {
	case TypeBoolean:
		return strings.ToLower(strings.TrimSpace(value))
	case TypeList:
		var list []string
		for _, e := range SplitList(value) {
			if !slices.Contains(list, e) {
				list = append(list, e)
			}
		}
		return JoinList(list)
	}
	return strings.TrimSpace(value)
}

// SplitList takes a list's value apart.
func SplitList(value string) []string {
	var out []string
	for _, e := range strings.Split(value, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}

// JoinList puts a list's value together.
func JoinList(list []string) string { return strings.Join(list, ",") }

// check refuses what defs don't allow, and puts the rest into its canonical form.
func check(defs []Definition, s schema.Settings) error {
	for name, value := range s {
		d := Find(defs, name)
		if d == nil {
			return Refuse(ErrUnknownConfig, "Unknown configuration %s", name)
		}
		if err := d.Check(value); err != nil {
			return err
		}
		s[name] = d.Canonical(value)
	}
	return nil
}

// CheckTopicConfig reports whether a topic may have these settings. It returns the values
// their canonical form.
func CheckTopicConfig(s schema.Settings) error {
	if err := check(topicDefinitions, s); err != nil {
		return err
	}
	return checkLags(s, "min.compaction.lag.ms", "max.compaction.lag.ms")
}

// checkLags refuses a least time that is longer than the greatest, where either is set.
func checkLags(s schema.Settings, least, most string) error {
	value := func(name string) int64 {
		text, ok := s[name]
		if !ok {
			text = Find(topicDefinitions, name).Default
		}
		n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64) // it was checked
		return n
	}
	if low, high := value(least), value(most); low > high {
		return Refuse(ErrConfigValue, "conflict topic config setting %s (%d) > %s (%d)", least, low, most, high)
	}
	return nil
}

// CheckBrokerConfig reports whether a broker, or all, may have these settings. It returns
// the values their canonical form.
func CheckBrokerConfig(s schema.Settings) error { return check(brokerDefinitions, s) }

// CheckGroupConfig reports whether a group may have these settings. It returns the values
// their canonical form.
func CheckGroupConfig(s schema.Settings) error { return check(groupDefinitions, s) }
