package metadata

import (
	"time"

	"varve/internal/backoff"
)

// retries bounds the wait between two tries of a request.
var retries = backoff.Policy{Base: 20 * time.Millisecond, Max: time.Second}
