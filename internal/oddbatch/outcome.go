package oddbatch

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"varve/kafka"
)

// Outcome is what became of a case. Times are written as distances to the case's now, or as
// "append" if they are those of the append.
type Outcome struct {
	Error   string            `json:"error,omitempty"`
	Records []int32           `json:"records,omitempty"` // that the answer names (KIP-467)
	Stored  string            `json:"stored,omitempty"`  // the header
	Body    string            `json:"body,omitempty"`    // of the decompressed records
	Offsets map[string]string `json:"offsets,omitempty"` // by time
	Kept    bool              `json:"kept,omitempty"`    // after a retention of a week
}

//go:embed testdata/kafka-4.3.1.json
var recorded []byte

// Kafka returns what Apache Kafka 4.3.1 did with each case, by name, as TestOddBatchesAgainstKafka
// in e2e recorded it (go test -tags full ./e2e -run OddBatches -args -write-verdicts).
func Kafka() (map[string]Outcome, error) {
	all := map[string]Outcome{}
	return all, json.Unmarshal(recorded, &all)
}

// Sought are the times, as distances to now in ms, at which a case's topic is searched.
var Sought = []int64{-30 * 24 * hour, -20 * 24 * hour, -19*24*hour + 1, -25 * hour, -24 * hour, -24*hour + 2000, -2 * hour, -hour,
	-1, 0, 1, 999, 1000, 1001, 1999, 2000, 2001, 3000, 5000, 2 * hour, 3 * hour}

// Seekable reports whether a time, as a distance to now, can be searched for in a topic, so
// that the answer doesn't depend on when the batch was appended.
func Seekable(distance int64, logAppendTime bool) bool {
	return !logAppendTime || distance <= -hour || distance >= 2*hour
}

// At names a time of Sought.
func At(distance int64) string { return fmt.Sprintf("now%+d", distance) }

// Time writes a timestamp as its distance to now, if it is near.
func Time(ms, now int64) string {
	if ms < now/2 {
		return fmt.Sprint(ms)
	}
	return At(ms - now)
}

// Header writes what is stored of a batch.
func Header(b kafka.Batch, now int64) string {
	newest := Time(b.MaxTimestamp(), now)
	if b.IsLogAppendTime() {
		newest = "append"
	}
	return fmt.Sprintf("attributes %#x, last delta %d, base time %s, max time %s, producer %d/%d/%d, count %d, crc ok %v", uint16(b.Attributes()), b.LastDelta(),
		Time(b.BaseTimestamp(), now), newest, b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.Count(), b.CheckCRC() == nil)
}

// Body writes a digest of a batch's decompressed records.
func Body(b kafka.Batch) string {
	body, err := kafka.Decompress(b.Codec(), b[kafka.BatchHeaderBytes:], 1<<24)
	if err != nil {
		return "can't be decompressed"
	}
	return fmt.Sprintf("%d bytes %08x", len(body), kafka.Checksum(body))
}

// Same reports whether Varve's outcome is the one that is wanted where Kafka's is known: the
// same, or one of these differences.
func Same(c Case, kafkas, ours Outcome) bool {
	if len(kafkas.Records) == 0 {
		ours.Records = nil // Varve names the record also where Kafka doesn't
	}
	switch {
	// Kafka stumbles over what it can't decompress, and over compressed records that are
	// numbered wrongly, with an error of its own without a text.
	case kafkas.Error == "UNKNOWN_SERVER_ERROR":
		return ours.Error == "INVALID_RECORD" || ours.Error == "MESSAGE_TOO_LARGE" && c.Name == "snappy: a block that lies"
	// Kafka doesn't compare the sizes of compressed records with their content, which its
	// consumers do: they stop at such a batch for good.
	case kafkas.Error == "" && hasAny(c.Name, "size that is one", "size far too large", "negative size", "one of them broken", "snappy: stream with a flipped byte"):
		return ours.Error == "INVALID_RECORD"
	// Kafka keeps the offset deltas of uncompressed records as they are, so that records
	// have one another's offsets, or those of the next batch. Varve numbers them anew.
	case strings.HasPrefix(c.Name, "none: offset deltas"):
		return ours.Error == "" && ours.Stored == kafkas.Stored
	// Kafka believes the largest timestamp of a batch whose producer set LogAppendTime.
	case strings.HasSuffix(c.Name, ": LogAppendTime and a wrong maximum"):
		return ours.Error == "" && ours.Offsets[At(2000)] == "2 at now+2000"
	// Kafka finds a newest record among records without timestamps.
	case strings.HasPrefix(c.Name, "at -1,"):
		return ours.Error == "" && ours.Stored == kafkas.Stored && ours.Body == kafkas.Body
	}
	return equal(kafkas, ours)
}

func hasAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

func equal(a, b Outcome) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}
