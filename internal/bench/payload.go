package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var words = [...]string{"level", "method", "path", "status", "took_us", "user", "region", "zone", "trace", "bytes", "cache", "retry"}

// payload makes n bytes: text like a log's, which compresses about four times, or
// random ones.
func payload(n int, random bool, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+64)
	if random {
		for len(b) < n {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		return b[:n]
	}
	for len(b) < n {
		b = fmt.Appendf(b, "%s=%d ", words[r.IntN(len(words))], r.IntN(100_000))
	}
	return b[:n]
}

// payloads makes a few different values, so that batches are not all alike.
func payloads(c *Config, seed uint64) [][]byte {
	n := max(1, min(64, 16<<20/c.RecordBytes))
	p := make([][]byte, n)
	for i := range p {
		p[i] = payload(c.RecordBytes, c.Random, seed*1000+uint64(i))
	}
	return p
}

// batch makes a record batch of at most the size, or of one record, uncompressed, without a
// producer id, and returns how many records it has.
func batch(c *Config, now time.Time) (b []byte, records int) {
	values := payloads(c, 0)
	var body, all []byte
	for i := 0; ; i++ {
		v := values[i%len(values)]
		body = append(body[:0], 0)                 // attributes
		body = binary.AppendVarint(body, 0)        // timestamp delta
		body = binary.AppendVarint(body, int64(i)) // offset delta
		body = binary.AppendVarint(body, -1)       // no key
		body = binary.AppendVarint(body, int64(len(v)))
		body = append(body, v...)
		body = binary.AppendVarint(body, 0) // no headers
		whole := len(all)
		all = binary.AppendVarint(all, int64(len(body)))
		if all = append(all, body...); i > 0 && batchHeader+len(all) > c.BatchBytes {
			all, records = all[:whole], i
			break
		}
	}
	ms := now.UnixMilli()
	rb := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(records - 1), FirstTimestamp: ms, MaxTimestamp: ms,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(records), Records: all}
	rb.Length = int32(batchHeader - batchPrefix + len(all))
	b = rb.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b, records
}

// batchHeader is the size of a record batch without records; batchPrefix what its
// length field doesn't count.
const (
	batchHeader = 61
	batchPrefix = 12
)

// walk returns the offset after the last whole batch of fetched bytes (from if
// there is none) and how many records there are.
func walk(b []byte, from int64) (next, records int64) {
	next = from
	for len(b) >= batchHeader {
		n := int64(int32(binary.BigEndian.Uint32(b[8:]))) + batchPrefix
		if n < batchHeader || n > int64(len(b)) {
			break
		}
		next = int64(binary.BigEndian.Uint64(b)) + int64(int32(binary.BigEndian.Uint32(b[23:]))) + 1
		records += int64(int32(binary.BigEndian.Uint32(b[57:])))
		b = b[n:]
	}
	return next, records
}
