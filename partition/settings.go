package partition

import "varve/kafka"

// Settings are the topic settings that appends and retention obey; times in ms,
// -1 is without limit where it is in Kafka.
type Settings struct {
	Topic            string
	MaxMessageBytes  int64
	Compression      kafka.Codec
	KeepCompression  bool // compression.type=producer
	LogAppendTime    bool
	TimestampBefore  int64 // message.timestamp.before.max.ms
	TimestampAfter   int64
	Compact          bool
	Delete           bool
	RetentionMs      int64
	RetentionBytes   int64
	ProducerExpiryMs int64
	MinInSync        int // min.insync.replicas
}
