package broker

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// access is what a caller must be allowed: an operation on every resource of a kind that
// its request names. Kafka's documentation lists them by API, in "Operations and
// Resources on Protocols". Every caller is allowed everything yet.
type access struct {
	operation kmsg.ACLOperation
	resource  kmsg.ACLResourceType
}

const (
	opRead            = kmsg.ACLOperationRead
	opWrite           = kmsg.ACLOperationWrite
	opCreate          = kmsg.ACLOperationCreate
	opDelete          = kmsg.ACLOperationDelete
	opAlter           = kmsg.ACLOperationAlter
	opDescribe        = kmsg.ACLOperationDescribe
	opDescribeConfigs = kmsg.ACLOperationDescribeConfigs
	opAlterConfigs    = kmsg.ACLOperationAlterConfigs
	opIdempotentWrite = kmsg.ACLOperationIdempotentWrite

	onTopic   = kmsg.ACLResourceTypeTopic
	onGroup   = kmsg.ACLResourceTypeGroup
	onCluster = kmsg.ACLResourceTypeCluster
)

// String returns Kafka's words, as "READ on TOPIC".
func (a access) String() string { return a.operation.String() + " on " + a.resource.String() }

// needed lists accesses for docs/apis.md.
func needed(all []access) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}
