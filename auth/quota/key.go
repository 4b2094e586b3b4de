package quota

import "math"

// Key is the kind of a quota. Its number is kept in etcd.
type Key uint8

// The kinds of quotas.
const (
	ProducerByteRate       Key = 1 // bytes of produce requests per second
	ConsumerByteRate       Key = 2 // bytes of fetch answers per second
	RequestPercentage      Key = 3 // percent of the time of one thread
	ControllerMutationRate Key = 4 // partitions created and deleted per second
	ConnectionCreationRate Key = 5 // connections per second from one address
)

// numKeys bounds the keys: they are less.
const numKeys = 6

var keyNames = [numKeys]string{ProducerByteRate: "producer_byte_rate", ConsumerByteRate: "consumer_byte_rate", RequestPercentage: "request_percentage",
	ControllerMutationRate: "controller_mutation_rate", ConnectionCreationRate: "connection_creation_rate"}

// Keys lists all kinds of quotas.
func Keys() []Key {
	return []Key{ProducerByteRate, ConsumerByteRate, RequestPercentage, ControllerMutationRate, ConnectionCreationRate}
}

// String returns Kafka's name.
func (k Key) String() string {
	if k == 0 || k >= numKeys {
		return "unknown"
	}
	return keyNames[k]
}

// ParseKey returns the key of a name.
func ParseKey(name string) (Key, bool) {
	for _, k := range Keys() {
		if keyNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// Values are an entity's quotas, by key; 0 is none.
type Values [numKeys]float64

// CheckValue returns the key of a quota that an entity may have, or why it may not, an
// InvalidError.
func CheckValue(e Entity, name string, value float64) (Key, error) {
	k, ok := ParseKey(name)
	switch {
	case !ok || (k == ConnectionCreationRate) != e.IP.There:
		return 0, invalid("Invalid configuration key %s", name)
	case !(value > 0) || math.IsInf(value, 0): // NaN, too
		return 0, invalid("Quota %s must be greater than 0", name)
	}
	switch k {
	case ProducerByteRate, ConsumerByteRate:
		return k, whole(name, value, math.MaxInt64, "a LONG")
	case ConnectionCreationRate:
		return k, whole(name, value, math.MaxInt32, "an INT")
	}
	return k, nil
}

// whole refuses a fraction and what is more than most.
func whole(name string, value, most float64, kind string) error {
	switch {
	case value > most:
		return invalid("Proposed value for %s is too large for %s.", name, kind)
	case math.Mod(value, 1) > 1e-6:
		return invalid("%s cannot be a fractional value.", name)
	}
	return nil
}

// Validate returns why an entity can't have these quotas, an InvalidError.
func (v *Values) Validate(e Entity) error {
	for k, value := range v {
		if value == 0 {
			continue
		}
		if _, err := CheckValue(e, Key(k).String(), value); err != nil {
			return err
		}
	}
	return nil
}
