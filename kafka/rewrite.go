package kafka

import "encoding/binary"

// Rewrite makes a batch of the surveyed records with a codec, as Kafka's broker does when
// a topic's codec isn't the producer's, or a producer counted wrongly: the offset deltas
// are 0, 1, 2 and so on, and the base timestamp is the first record's.
func (d Body) Rewrite(to Codec, s Survey) (Batch, error) {
	if s.Ordered && s.FirstTime == d.batch.BaseTimestamp() {
		return d.batch.with(to, d.bytes, s.FirstTime)
	}
	var body, one []byte
	err := d.Each(func(r *Record) error {
		one = append(one[:0], 0)
		one = binary.AppendVarint(one, r.Timestamp-s.FirstTime)
		one = binary.AppendVarint(one, int64(r.Index))
		one = appendNullable(one, r.Key)
		one = appendNullable(one, r.Value)
		one = append(one, r.headers...)
		body = binary.AppendVarint(body, int64(len(one)))
		body = append(body, one...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d.batch.with(to, body, s.FirstTime)
}

// with makes a batch that has b's header, and body as its records.
func (b Batch) with(to Codec, body []byte, baseTime int64) (Batch, error) {
	out := make([]byte, BatchHeaderBytes, BatchHeaderBytes+len(body)/2)
	copy(out, b)
	out, err := Compress(to, out, body)
	if err != nil {
		return nil, err
	}
	n := Batch(out)
	binary.BigEndian.PutUint32(n[8:], uint32(len(out)-batchLengthEnd))
	binary.BigEndian.PutUint16(n[21:], uint16(b.Attributes()&^attrCodec)|uint16(to))
	binary.BigEndian.PutUint64(n[27:], uint64(baseTime))
	n.seal()
	return n, nil
}
