package clients

// e2e builds this module's own tests.
import _ "github.com/segmentio/kafka-go"
