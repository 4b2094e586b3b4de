package offsets

import (
	"errors"
	"fmt"
	"time"
)

// Config are the settings of a group's offsets, by the names that Kafka has for them.
type Config struct {
	// OffsetMetadataMaxBytes bounds the text beside an offset:
	// offset.metadata.max.bytes.
	OffsetMetadataMaxBytes int `yaml:"offset_metadata_max_bytes" doc:"maximum length of the metadata text of a committed offset, in characters (offset.metadata.max.bytes)"`
	// OffsetsMaxBytes bounds the offsets of one group, with the texts beside them.
	OffsetsMaxBytes int `yaml:"offsets_max_bytes" doc:"maximum size of one group's committed offsets, including their metadata text, in bytes (36 for each offset, plus the text); commits that exceed it are refused (INVALID_COMMIT_OFFSET_SIZE)"`
	// OffsetsRetention is how long the offsets of a group without members are
	// kept: offsets.retention.minutes.
	OffsetsRetention time.Duration `yaml:"offsets_retention" doc:"how long the offsets of a group without members are kept (offsets.retention.minutes)"`
}

// DefaultConfig has Kafka's defaults.
func DefaultConfig() Config {
	return Config{OffsetMetadataMaxBytes: 4096, OffsetsMaxBytes: 32 << 20, OffsetsRetention: 7 * 24 * time.Hour}
}

// Validate returns all that is wrong, each with the field, its value, and what is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.OffsetsRetention < time.Minute || c.OffsetsRetention > 1<<20*time.Hour {
		bad("offsets_retention: %v, allowed is %v to %v", c.OffsetsRetention, time.Minute, 1<<20*time.Hour)
	}
	if c.OffsetMetadataMaxBytes < 0 || c.OffsetMetadataMaxBytes > maxMetadata {
		bad("offset_metadata_max_bytes: %d, allowed is 0 to %d", c.OffsetMetadataMaxBytes, maxMetadata)
	}
	if c.OffsetsMaxBytes < 64<<10 || c.OffsetsMaxBytes > 1<<30 {
		bad("offsets_max_bytes: %d, allowed is %d to %d", c.OffsetsMaxBytes, 64<<10, 1<<30)
	}
	return errors.Join(errs...)
}
