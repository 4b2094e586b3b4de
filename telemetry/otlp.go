package telemetry

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// OTLP's MetricsData, as far as it is read:
//
//	MetricsData    1 ResourceMetrics
//	ResourceMetrics  2 ScopeMetrics
//	ScopeMetrics     2 Metric
//	Metric           1 name, 5 gauge, 7 sum, 9 histogram
//	Gauge, Sum, Histogram  1 data points, 2 temporality (not of Gauge; 1: delta)
//	NumberDataPoint    7 attributes, 4 double, 6 integer (64 bits)
//	HistogramDataPoint 9 attributes, 4 count (64 bits), 5 sum (double)
//	KeyValue         1 key, 2 AnyValue
//	AnyValue         1 string, 2 bool, 3 int64, 4 double
//
// It is read where it lies. The library's structs take hundreds of bytes for a point, and a point may
// be of 2 bytes: they would make 1.5 GB of a push of 4 MiB, which may be compressed to less than 1 KiB.
const (
	tagGauge     = 5<<3 | sized
	tagSum       = 7<<3 | sized
	tagHistogram = 9<<3 | sized

	deltaTemporality = 1

	mostAttributes = 32 // of a point; the others are left out
)

// The kinds of fields that are read, as the low bits of a tag have them; the number is above.
const (
	varint  = uint64(protowire.VarintType)
	fixed64 = uint64(protowire.Fixed64Type)
	sized   = uint64(protowire.BytesType)
)

// fields calls do with each field of a message that is of these kinds: with its tag, and the bytes of one
// that has a length or the number of another one.
func fields(b []byte, do func(tag uint64, bytes []byte, number uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var bytes []byte
		var number uint64
		tag := protowire.EncodeTag(field, kind)
		switch uint64(kind) {
		case sized:
			bytes, n = protowire.ConsumeBytes(b)
		case fixed64:
			number, n = protowire.ConsumeFixed64(b)
		case varint:
			number, n = protowire.ConsumeVarint(b)
		default:
			tag, n = 0, protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := do(tag, bytes, number); err != nil {
			return err
		}
	}
	return nil
}

// points calls add with the values of a MetricsData whose metrics are wanted. Of a histogram there are
// its sum and its count.
func points(b []byte, wanted func(name string) bool, add func(point)) error {
	return fields(b, func(tag uint64, resource []byte, _ uint64) error {
		if tag != 1<<3|sized {
			return nil
		}
		return fields(resource, func(tag uint64, scope []byte, _ uint64) error {
			if tag != 2<<3|sized {
				return nil
			}
			return fields(scope, func(tag uint64, metric []byte, _ uint64) error {
				if tag != 2<<3|sized {
					return nil
				}
				return pointsOf(metric, wanted, add)
			})
		})
	})
}

// pointsOf calls add with the values of a Metric.
func pointsOf(metric []byte, wanted func(string) bool, add func(point)) error {
	var name, data []byte
	var kind uint64
	err := fields(metric, func(tag uint64, bytes []byte, _ uint64) error {
		switch tag {
		case 1<<3 | sized:
			name = bytes
		case tagGauge, tagSum, tagHistogram:
			kind, data = tag, bytes
		}
		return nil
	})
	text := label(name)
	if err != nil || !wanted(text) {
		return err
	}
	delta := false
	err = fields(data, func(tag uint64, _ []byte, number uint64) error {
		if tag == 2<<3|varint && kind != tagGauge {
			delta = number == deltaTemporality
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum, count := text+"_sum", text+"_count"
	return fields(data, func(tag uint64, bytes []byte, _ uint64) error {
		if tag != 1<<3|sized {
			return nil
		}
		if kind == tagHistogram {
			return histogram(bytes, sum, count, delta, add)
		}
		return numberOf(bytes, text, delta, add)
	})
}

// numberOf calls add with the value of a NumberDataPoint.
func numberOf(b []byte, name string, delta bool, add func(point)) error {
	p := point{key: seriesKey{metric: name}, delta: delta}
	var all attributes
	err := fields(b, func(tag uint64, bytes []byte, number uint64) error {
		switch tag {
		case 4<<3 | fixed64:
			p.value = math.Float64frombits(number)
		case 6<<3 | fixed64:
			p.value = float64(int64(number))
		case 7<<3 | sized:
			return all.add(bytes)
		}
		return nil
	})
	if err == nil {
		p.key.attributes = all.String()
		add(p)
	}
	return err
}

// histogram calls add with the sum and the count of a HistogramDataPoint.
func histogram(b []byte, sumName, countName string, delta bool, add func(point)) error {
	var sum float64
	var count uint64
	var all attributes
	err := fields(b, func(tag uint64, bytes []byte, number uint64) error {
		switch tag {
		case 4<<3 | fixed64:
			count = number
		case 5<<3 | fixed64:
			sum = math.Float64frombits(number)
		case 9<<3 | sized:
			return all.add(bytes)
		}
		return nil
	})
	if err == nil {
		text := all.String()
		add(point{seriesKey{sumName, text}, sum, delta})
		add(point{seriesKey{countName, text}, float64(count), delta})
	}
	return err
}

// attributes are those of a point, as "name=value".
type attributes []string

// add adds a KeyValue.
func (all *attributes) add(b []byte) error {
	if len(*all) >= mostAttributes {
		return nil
	}
	var key, text string
	err := fields(b, func(tag uint64, bytes []byte, _ uint64) error {
		switch tag {
		case 1<<3 | sized:
			key = label(bytes)
		case 2<<3 | sized:
			return fields(bytes, func(tag uint64, bytes []byte, number uint64) error {
				switch tag {
				case 1<<3 | sized:
					text = label(bytes)
				case 2<<3 | varint:
					text = strconv.FormatBool(number != 0)
				case 3<<3 | varint:
					text = strconv.FormatInt(int64(number), 10)
				case 4<<3 | fixed64:
					text = strconv.FormatFloat(math.Float64frombits(number), 'g', -1, 64)
				}
				return nil
			})
		}
		return nil
	})
	*all = append(*all, key+"="+text)
	return err
}

// String writes attributes as "name=value, ...", in order of names.
func (all attributes) String() string {
	slices.Sort(all)
	return label(strings.Join(all, ", "))
}

// label makes a client's text fit for a label. The result doesn't keep the text's memory.
func label[T string | []byte](text T) string {
	return strings.ToValidUTF8(string([]byte(text[:min(len(text), maxLabel)])), "?")
}
