package oddbatch

import (
	"encoding/binary"
	"fmt"

	"varve/kafka"
)

// sound are batches with which nothing is wrong.
func (m *maker) sound(codec kafka.Codec) {
	m.add(fmt.Sprint(codec, ": three records"), m.changed(codec, nil, nil))
	m.add(fmt.Sprint(codec, ": nulls, empty values and headers"), m.changed(codec, func(rs []record) {
		rs[0].key, rs[1].value = nil, nil
		rs[1].key = []byte{}
		headers := binary.AppendVarint(nil, 3)
		for _, value := range [][]byte{[]byte("v"), nil, {}} {
			headers = appendBytes(appendBytes(headers, []byte("h"), 0), value, 0)
		}
		rs[2].headers = headers
	}, nil))
	m.add(fmt.Sprint(codec, ": an idempotent producer's"), m.changed(codec, nil, func(b kafka.Batch) { b.SetProducer(4711, 0, 0) }))
}

// framing are bodies whose lengths don't add up.
func (m *maker) framing(codec kafka.Codec) {
	for name, change := range map[string]func(*record){
		"a size that is one too small":           func(r *record) { r.size = -1 },
		"a size that is one too large":           func(r *record) { r.size = 1 },
		"a size far too large":                   func(r *record) { r.size = 1 << 20 },
		"a negative size":                        func(r *record) { r.size = -1000 },
		"a size in five bytes":                   func(r *record) { r.longSize = true },
		"a key that is longer than the record":   func(r *record) { r.keyLen = 1000 },
		"a key that is longer than the batch":    func(r *record) { r.keyLen = 1 << 20 },
		"a key of length -2":                     func(r *record) { r.key, r.keyLen = nil, -2 },
		"a header with a null key":               func(r *record) { r.headers = []byte{2, 1, 1} },
		"a header of negative length":            func(r *record) { r.headers = []byte{2, 2, 'h', 5} },
		"a header count of -1":                   func(r *record) { r.headers = []byte{1} },
		"a header count of 100":                  func(r *record) { r.headers = []byte{200, 1} },
		"a header count of 2^31-1":               func(r *record) { r.headers = []byte{0xfe, 0xff, 0xff, 0xff, 0x0f} },
		"one header less than counted":           func(r *record) { r.headers = []byte{4, 2, 'h', 2, 'v'} },
		"a byte after the headers":               func(r *record) { r.headers = []byte{0, 7} },
		"no header count":                        func(r *record) { r.headers = nil },
		"a header count in more than five bytes": func(r *record) { r.headers = []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0} },
		"attributes":                             func(r *record) { r.attributes = 0x7f },
	} {
		m.add(fmt.Sprint(codec, ": ", name), m.changed(codec, func(rs []record) { change(&rs[1]) }, nil))
	}
	whole := body(three())
	m.add(fmt.Sprint(codec, ": bytes after the last record"), m.batch(codec, append(body(three()), 1, 2, 3), nil))
	m.add(fmt.Sprint(codec, ": records cut in the middle"), m.batch(codec, whole[:len(whole)/2], nil))
	m.add(fmt.Sprint(codec, ": records cut at the last byte"), m.batch(codec, whole[:len(whole)-1], nil))
	m.add(fmt.Sprint(codec, ": no records"), m.batch(codec, nil, nil))
}

// counts are headers that count wrongly.
func (m *maker) counts(codec kafka.Codec) {
	counted := func(n uint32) func(kafka.Batch) {
		return func(b kafka.Batch) { put32(b, count, n); put32(b, lastDelta, n-1) }
	}
	for _, n := range []uint32{0, 1, 2, 4, 5, 1 << 31, 1<<31 - 1, 1<<32 - 1} {
		m.add(fmt.Sprint(codec, ": a count of ", int32(n), " with three records"), m.changed(codec, nil, counted(n)))
	}
	m.add(fmt.Sprint(codec, ": a last offset delta of 5"), m.changed(codec, nil, func(b kafka.Batch) { put32(b, lastDelta, 5) }))
	m.add(fmt.Sprint(codec, ": a last offset delta of -1"), m.changed(codec, nil, func(b kafka.Batch) { put32(b, lastDelta, 1<<32-1) }))
}

// deltas are records that number themselves wrongly.
func (m *maker) deltas(codec kafka.Codec) {
	for _, d := range [][3]int32{{0, 0, 0}, {2, 1, 0}, {5, 6, 7}, {1, 2, 3}, {-1, 0, 1}} {
		m.add(fmt.Sprint(codec, ": offset deltas ", d), m.changed(codec, func(rs []record) {
			for i := range rs {
				rs[i].offset = d[i]
			}
		}, nil))
	}
}

// times are headers and records that differ about the time.
func (m *maker) times(codec kafka.Codec) {
	late := func(b kafka.Batch) { b[attributes+1] |= 0x08 }
	for name, set := range map[string]func(kafka.Batch){
		"a largest timestamp that is too small":   func(b kafka.Batch) { put64(b, maxTime, uint64(m.now+1000)) },
		"a largest timestamp that is too large":   func(b kafka.Batch) { put64(b, maxTime, uint64(m.now+5000)) },
		"a largest timestamp two hours ahead":     func(b kafka.Batch) { put64(b, maxTime, uint64(m.now+2*hour)) },
		"a largest timestamp of -1":               func(b kafka.Batch) { put64(b, maxTime, 1<<64-1) },
		"the timestamp type LogAppendTime":        late,
		"LogAppendTime and a wrong maximum":       func(b kafka.Batch) { late(b); put64(b, maxTime, uint64(m.now+1000)) },
		"a base timestamp a day ago":              func(b kafka.Batch) { put64(b, baseTime, uint64(m.now-24*hour)) },
		"a base timestamp two hours ahead":        func(b kafka.Batch) { put64(b, baseTime, uint64(m.now+2*hour)) },
		"a base timestamp of -1":                  func(b kafka.Batch) { put64(b, baseTime, 1<<64-1) },
		"a base timestamp of -5":                  func(b kafka.Batch) { put64(b, baseTime, 1<<64-5) },
		"a base timestamp of -2^63":               func(b kafka.Batch) { put64(b, baseTime, 1<<63) },
		"attributes that are not defined":         func(b kafka.Batch) { put16(b, attributes, uint16(codec)|0x8180) },
		"not defined attributes, a wrong maximum": func(b kafka.Batch) { put16(b, attributes, uint16(codec)|0x8180); put64(b, maxTime, 7) },
		"a delete horizon":                        func(b kafka.Batch) { b[attributes+1] |= 0x40 },
	} {
		m.add(fmt.Sprint(codec, ": ", name), m.changed(codec, nil, set))
		m.add(fmt.Sprint(codec, ": ", name, ", LogAppendTime topic"), m.changed(codec, nil, set)).with(map[string]string{"message.timestamp.type": "LogAppendTime"})
	}
	for name, deltas := range map[string][3]int64{
		"an old, a new and an old record": {-20 * 24 * hour, 0, -19 * 24 * hour},
		"three old records":               {-20 * 24 * hour, -20*24*hour + 1, -19 * 24 * hour},
		"a record three hours ahead":      {0, 3 * hour, 1},
		"timestamps that count down":      {3000, 2000, 1000},
		"deltas that overflow":            {0, 1<<63 - 1, -1 << 63},
	} {
		m.add(fmt.Sprint(codec, ": ", name), m.changed(codec, func(rs []record) {
			for i := range rs {
				rs[i].time = deltas[i]
			}
		}, func(b kafka.Batch) { put64(b, maxTime, uint64(m.now+deltas[2])) }))
	}
	m.add(fmt.Sprint(codec, ": old records, a largest timestamp of now"), m.changed(codec, func(rs []record) {
		for i := range rs {
			rs[i].time = -20*24*hour + int64(i)
		}
	}, nil))
}

// streams are bodies that don't fit the codec in the header.
func (m *maker) streams(codec kafka.Codec) {
	packed, err := kafka.Compress(codec, nil, body(three()))
	if err != nil {
		panic(err)
	}
	for other := kafka.None; other <= kafka.Zstd; other++ {
		if other != codec {
			m.add(fmt.Sprint(codec, ": marked as ", other), m.packed(other, packed, nil))
		}
	}
	if codec == kafka.None {
		return
	}
	m.add(fmt.Sprint(codec, ": stream cut in the middle"), m.packed(codec, packed[:len(packed)/2], nil))
	m.add(fmt.Sprint(codec, ": stream without its last byte"), m.packed(codec, packed[:len(packed)-1], nil))
	m.add(fmt.Sprint(codec, ": empty stream"), m.packed(codec, nil, nil))
	flipped := append([]byte{}, packed...)
	flipped[len(flipped)/2] ^= 0x55
	m.add(fmt.Sprint(codec, ": stream with a flipped byte"), m.packed(codec, flipped, nil))
}

// header are fields of the header that are wrong whatever the codec.
func (m *maker) header() {
	for name, set := range map[string]func(kafka.Batch){
		"base offset 5":                    func(b kafka.Batch) { put64(b, baseOffset, 5) },
		"base offset -1":                   func(b kafka.Batch) { put64(b, baseOffset, 1<<64-1) },
		"leader epoch 7":                   func(b kafka.Batch) { put32(b, leaderEpoch, 7) },
		"format 0":                         func(b kafka.Batch) { b[magic] = 0 },
		"format 1":                         func(b kafka.Batch) { b[magic] = 1 },
		"format 3":                         func(b kafka.Batch) { b[magic] = 3 },
		"format -1":                        func(b kafka.Batch) { b[magic] = 0xff },
		"producer id without an epoch":     func(b kafka.Batch) { b.SetProducer(4711, -1, 0) },
		"producer id without a sequence":   func(b kafka.Batch) { b.SetProducer(4711, 0, -1) },
		"producer id -5":                   func(b kafka.Batch) { b.SetProducer(-5, 3, -1) },
		"epoch and sequence without an id": func(b kafka.Batch) { b.SetProducer(-1, 3, 3) },
		"a control batch":                  func(b kafka.Batch) { b[attributes+1] |= 0x20 },
	} {
		m.add(name, m.changed(kafka.None, nil, set))
	}
	wrong := m.changed(kafka.None, nil, nil)
	wrong[crc] ^= 1
	m.add("a wrong checksum", wrong)
	wrong = m.changed(kafka.Gzip, nil, nil)
	wrong[len(wrong)-1] ^= 1
	m.add("gzip: a wrong checksum", wrong)
	for _, version := range []int16{3, 6, 7, 8, 11} {
		m.add(fmt.Sprint("zstd in version ", version), m.changed(kafka.Zstd, nil, nil)).Version = version
	}
}

// lengths are record sets that are cut off or too long.
func (m *maker) lengths() {
	whole := m.changed(kafka.None, nil, nil)
	for _, n := range []int{0, 1, 11, 12, 16, 17, 21, 60, 61, len(whole) - 1} {
		m.add(fmt.Sprint("cut to ", n, " bytes"), whole[:n])
	}
	for _, n := range []int32{-1, 0, 13, 14, 48, 49, int32(len(whole)) - 13, int32(len(whole)) - 11, 1<<31 - 1} {
		lying := m.changed(kafka.None, nil, nil)
		put32(lying, length, uint32(n))
		m.add(fmt.Sprint("a length of ", n), lying)
	}
	after := func(tail ...byte) []byte { return append(m.changed(kafka.None, nil, nil), tail...) }
	m.add("two batches", after(m.changed(kafka.None, nil, nil)...))
	m.add("five bytes after the batch", after(1, 2, 3, 4, 5))
	m.add("zeros after the batch", after(make([]byte, 40)...))
	m.add("half a batch after the batch", after(whole[:50]...))
	large := m.changed(kafka.None, func(rs []record) { rs[0].value = make([]byte, 3000) }, nil)
	m.add("larger than max.message.bytes", large).with(map[string]string{"max.message.bytes": "1000"})
	m.add("exactly max.message.bytes", large).with(map[string]string{"max.message.bytes": fmt.Sprint(len(large))})
}

// bounds are what the settings of a topic refuse.
func (m *maker) bounds() {
	compact := map[string]string{"cleanup.policy": "compact"}
	for codec := kafka.None; codec <= kafka.Zstd; codec++ {
		m.add(fmt.Sprint(codec, ": compacted topic"), m.changed(codec, nil, nil)).with(compact)
		m.add(fmt.Sprint(codec, ": compacted topic, a null key"), m.changed(codec, func(rs []record) { rs[1].key = nil }, nil)).with(compact)
		m.add(fmt.Sprint(codec, ": compacted topic, a key of length -2"), m.changed(codec, func(rs []record) { rs[1].key, rs[1].keyLen = nil, -2 }, nil)).with(compact)
		m.add(fmt.Sprint(codec, ": compacted topic, a null key and a bad time"), m.changed(codec, func(rs []record) { rs[1].key, rs[2].time = nil, 3*hour }, nil)).with(compact)
	}
	before := map[string]string{"message.timestamp.before.max.ms": "3600000"}
	for _, at := range []int64{-1, -5, -1 << 63, 0, 5, m.now - 2*hour, m.now - hour/2} {
		m.add(fmt.Sprint("at ", at-m.now*min(1, max(0, at/hour)), ", an hour before is allowed"), m.changed(kafka.None, func(rs []record) {
			rs[1].time, rs[2].time = 0, 0
		}, func(b kafka.Batch) { put64(b, baseTime, uint64(at)); put64(b, maxTime, uint64(at)) })).with(before)
	}
	m.add("two hours ahead, a day is allowed", m.changed(kafka.None, func(rs []record) { rs[2].time = 2 * hour }, nil)).with(map[string]string{"message.timestamp.after.max.ms": "86400000"})
}

// conversions are topics with a codec of their own.
func (m *maker) conversions() {
	for _, target := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		settings := map[string]string{"compression.type": target}
		for codec := kafka.None; codec <= kafka.Zstd; codec++ {
			m.add(fmt.Sprint(codec, " to ", target), m.changed(codec, nil, nil)).with(settings)
		}
		m.add(fmt.Sprint("lz4 to ", target, ": offset deltas 2, 1, 0, a base timestamp that is none, a wrong maximum"), m.changed(kafka.Lz4, func(rs []record) {
			for i := range rs {
				rs[i].offset, rs[i].time = int32(2-i), int64(i)*1000+700
			}
		}, func(b kafka.Batch) { put64(b, maxTime, uint64(m.now)) })).with(settings)
		m.add(fmt.Sprint("none to ", target, ": a header count of -1"), m.changed(kafka.None, func(rs []record) { rs[1].headers = []byte{1} }, nil)).with(settings)
		m.add(fmt.Sprint("gzip to ", target, " with LogAppendTime"), m.changed(kafka.Gzip, nil, nil)).with(map[string]string{"compression.type": target, "message.timestamp.type": "LogAppendTime"})
	}
}
