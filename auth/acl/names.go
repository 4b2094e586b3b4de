package acl

import (
	"fmt"
	"strings"
)

// Operation is what a caller wants to do with a resource. The numbers are Kafka's.
type Operation uint8

// The operations. AnyOperation is for filters only.
const (
	AnyOperation    Operation = 1
	All             Operation = 2
	Read            Operation = 3
	Write           Operation = 4
	Create          Operation = 5
	Delete          Operation = 6
	Alter           Operation = 7
	Describe        Operation = 8
	ClusterAction   Operation = 9
	DescribeConfigs Operation = 10
	AlterConfigs    Operation = 11
	IdempotentWrite Operation = 12
	CreateTokens    Operation = 13
	DescribeTokens  Operation = 14
	TwoPhaseCommit  Operation = 15
)

// ResourceType is a kind of resource. The numbers are Kafka's.
type ResourceType uint8

// The types of resources. AnyResource is for filters only.
const (
	AnyResource     ResourceType = 1
	Topic           ResourceType = 2
	Group           ResourceType = 3
	Cluster         ResourceType = 4
	TransactionalID ResourceType = 5
	DelegationToken ResourceType = 6
	User            ResourceType = 7
)

// PatternType is how a binding's resource name is compared with a resource. The numbers are
// Kafka's.
type PatternType uint8

// The types of patterns. AnyPattern and Match are for filters only: AnyPattern finds
// bindings whose own name is the filter's, Match those that apply to a resource of that name.
const (
	AnyPattern PatternType = 1
	Match      PatternType = 2
	Literal    PatternType = 3
	Prefixed   PatternType = 4
)

// Permission is what a binding does with an operation. The numbers are Kafka's.
type Permission uint8

// The permissions. AnyPermission is for filters only.
const (
	AnyPermission Permission = 1
	Deny          Permission = 2
	Allow         Permission = 3
)

// Wildcard is the name of every resource in a literal pattern, and every host.
const Wildcard = "*"

// Everyone is every user's principal.
const Everyone = "User:*"

// ClusterName is the only name of a resource of type Cluster.
const ClusterName = "kafka-cluster"

// Kafka's words by number.
var (
	operationNames = []string{"UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
		"DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT"}
	resourceNames   = []string{"UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"}
	patternNames    = []string{"UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"}
	permissionNames = []string{"UNKNOWN", "ANY", "DENY", "ALLOW"}
)

func (o Operation) String() string    { return nameOf(operationNames, o) }
func (t ResourceType) String() string { return nameOf(resourceNames, t) }
func (p PatternType) String() string  { return nameOf(patternNames, p) }
func (p Permission) String() string   { return nameOf(permissionNames, p) }

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return names[0]
}

// ParseOperation returns the operation of a name: upper or lower case, with or without
// underscores and dashes, as "IdempotentWrite".
func ParseOperation(s string) (Operation, error) {
	return parse[Operation]("operation", operationNames, s)
}

// ParseResourceType returns the type of resource of a name, as ParseOperation does.
func ParseResourceType(s string) (ResourceType, error) {
	return parse[ResourceType]("resource type", resourceNames, s)
}

// ParsePatternType returns the type of pattern of a name, as ParseOperation does.
func ParsePatternType(s string) (PatternType, error) {
	return parse[PatternType]("pattern type", patternNames, s)
}

// ParsePermission returns the permission of a name, as ParseOperation does.
func ParsePermission(s string) (Permission, error) {
	return parse[Permission]("permission", permissionNames, s)
}

func parse[T ~uint8](what string, names []string, s string) (T, error) {
	for i, name := range names[1:] {
		if plain(name) == plain(s) {
			return T(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%q is no %s: want one of %s", s, what, strings.ToLower(strings.Join(names[1:], ", ")))
}

// plain returns a name without what may differ in its spelling.
func plain(s string) string {
	return strings.ToUpper(strings.NewReplacer("_", "", "-", "").Replace(s))
}

// Operations returns the operations that make sense for a type of resource, in order of
// their numbers, as Kafka's authorized operations have them (KIP-430).
func Operations(t ResourceType) []Operation {
	switch t {
	case Topic:
		return []Operation{Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs}
	case Group:
		return []Operation{Read, Delete, Describe, DescribeConfigs, AlterConfigs}
	case Cluster:
		return []Operation{Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite}
	case TransactionalID:
		return []Operation{Write, Describe, TwoPhaseCommit}
	case DelegationToken:
		return []Operation{Describe}
	case User:
		return []Operation{CreateTokens, DescribeTokens}
	}
	return nil
}
