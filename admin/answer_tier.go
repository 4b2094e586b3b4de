package admin

import "varve/health"

// TierLook is a line of the answer to GET /v1/tier/holes: something that was found, or how
// far the look is, in slices of partitions.
type TierLook struct {
	Hole   *health.Hole `json:"hole,omitempty"`
	Looked int64        `json:"looked,omitempty"`
	Total  int64        `json:"total,omitempty"`
	Done   bool         `json:"done,omitempty"` // the last line of a whole look
	Error  string       `json:"error,omitempty"`
}

// Skipped is what was given up.
type Skipped struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Ranges    []health.Hole `json:"ranges"`
}
