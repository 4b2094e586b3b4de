package broker

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/auth/acl"
)

// access is what a caller must be allowed: an operation on every resource of a kind that
// its request names. Kafka's documentation lists them by API, in "Operations and
// Resources on Protocols"; what its broker asks for counts.
type access struct {
	operation acl.Operation
	resource  acl.ResourceType
}

// instead marks the resource of an access that is enough without the one before it.
const instead acl.ResourceType = 0x80

// on returns the resource's type.
func (a access) on() acl.ResourceType { return a.resource &^ instead }

const (
	opRead            = acl.Read
	opWrite           = acl.Write
	opCreate          = acl.Create
	opDelete          = acl.Delete
	opAlter           = acl.Alter
	opDescribe        = acl.Describe
	opClusterAction   = acl.ClusterAction
	opDescribeConfigs = acl.DescribeConfigs
	opAlterConfigs    = acl.AlterConfigs
	opIdempotentWrite = acl.IdempotentWrite
	opCreateTokens    = acl.CreateTokens
	opDescribeTokens  = acl.DescribeTokens

	onTopic           = acl.Topic
	onGroup           = acl.Group
	onCluster         = acl.Cluster
	onTransactionalID = acl.TransactionalID
	onDelegationToken = acl.DelegationToken
	onUser            = acl.User
)

// theCluster is the name of the one resource of its kind.
const theCluster = acl.ClusterName

// String returns Kafka's words, as "READ on TOPIC".
func (a access) String() string { return a.operation.String() + " on " + a.on().String() }

// needed lists accesses for docs/apis.md.
func needed(all []access) string {
	var text strings.Builder
	for i, a := range all {
		switch {
		case i > 0 && a.resource&instead != 0:
			text.WriteString(" or ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(a.String())
	}
	return text.String()
}

// refusals are Kafka's errors for callers without rights.
var refusals = map[acl.ResourceType]*kerr.Error{
	onTopic:           kerr.TopicAuthorizationFailed,
	onGroup:           kerr.GroupAuthorizationFailed,
	onCluster:         kerr.ClusterAuthorizationFailed,
	onTransactionalID: kerr.TransactionalIDAuthorizationFailed,
	onDelegationToken: kerr.DelegationTokenAuthorizationFailed,
	onUser:            kerr.DelegationTokenAuthorizationFailed, // users are asked about for tokens only
}
