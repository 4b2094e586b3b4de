package schema

import (
	"encoding/binary"
	"time"
)

// Drain is since when an agent is to own nothing. That the key is there is what
// counts; the time is for people.
type Drain struct {
	Since time.Time
}

// Encode writes the value.
func (d Drain) Encode() []byte { return binary.AppendVarint([]byte{1}, d.Since.UnixMilli()) }
