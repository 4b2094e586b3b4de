package broker

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/internal/id"
)

// open are the APIs that need no right, and why.
var open = map[kmsg.Key]string{
	kmsg.ApiVersions: "a client must know them before it authenticates",

	kmsg.GetTelemetrySubscriptions: "every client may push metrics, as with Kafka",
	kmsg.PushTelemetry:             "every client may push metrics, as with Kafka",
	kmsg.SASLHandshake:             "a client authenticates with it",
	kmsg.SASLAuthenticate:          "a client authenticates with it",
	kmsg.RenewDelegationToken:      "who has the HMAC may, if the token's record says so",
	kmsg.ExpireDelegationToken:     "who has the HMAC may, if the token's record says so",
}

// attempt is a request by a principal without rights: every part of the answer is a
// refusal, but for the lines that are listed, which show nothing.
type attempt struct {
	version int16
	req     kmsg.Request
	shows   []string
	parts   int // how many refusals there are
}

// attempts has requests for every API that together name every kind of resource that it
// knows. The topics t and u exist, as do the groups g and h.
func attempts(s *secured, ids map[string]id.Topic) map[kmsg.Key][]attempt {
	text := kmsg.StringPtr
	both := []string{"t", "u"}
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks, produce.TimeoutMillis = -1, 1000
	fetch := kmsg.NewPtrFetchRequest()
	fetch.MinBytes, fetch.MaxBytes, fetch.SessionEpoch = 1, 1<<20, -1
	var (
		list               = kmsg.NewPtrListOffsetsRequest()
		byName, byID       = kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataRequest()
		create             = kmsg.NewPtrCreateTopicsRequest()
		remove, removeByID = kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrDeleteTopicsRequest()
		trim               = kmsg.NewPtrDeleteRecordsRequest()
		epochs             = kmsg.NewPtrOffsetForLeaderEpochRequest()
		grow               = kmsg.NewPtrCreatePartitionsRequest()
		elect              = kmsg.NewPtrElectLeadersRequest()
		move               = kmsg.NewPtrAlterPartitionAssignmentsRequest()
		producers          = kmsg.NewPtrDescribeProducersRequest()
		describe           = kmsg.NewPtrDescribeTopicPartitionsRequest()
		commit             = kmsg.NewPtrOffsetCommitRequest()
		offsetsOf          = kmsg.NewPtrOffsetFetchRequest()
		forget             = kmsg.NewPtrOffsetDeleteRequest()
		configs            = kmsg.NewPtrDescribeConfigsRequest()
		alter              = kmsg.NewPtrAlterConfigsRequest()
		increment          = kmsg.NewPtrIncrementalAlterConfigsRequest()
	)
	byName.AllowAutoTopicCreation = true
	for _, t := range both {
		produce.Topics = append(produce.Topics, kmsg.ProduceRequestTopic{Topic: t, TopicID: ids[t], Partitions: []kmsg.ProduceRequestTopicPartition{{Records: s.batch()}}})
		fetch.Topics = append(fetch.Topics, kmsg.FetchRequestTopic{Topic: t, TopicID: ids[t], Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1000}}})
		list.Topics = append(list.Topics, kmsg.ListOffsetsRequestTopic{Topic: t, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1}}})
		byName.Topics = append(byName.Topics, kmsg.MetadataRequestTopic{Topic: text(t)})
		byID.Topics = append(byID.Topics, kmsg.MetadataRequestTopic{TopicID: ids[t]})
		create.Topics = append(create.Topics, kmsg.CreateTopicsRequestTopic{Topic: "new-" + t, NumPartitions: 1, ReplicationFactor: 1})
		remove.TopicNames = append(remove.TopicNames, t)
		removeByID.Topics = append(removeByID.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: ids[t]})
		trim.Topics = append(trim.Topics, kmsg.DeleteRecordsRequestTopic{Topic: t, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{}}})
		epochs.Topics = append(epochs.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: t, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{}}})
		grow.Topics = append(grow.Topics, kmsg.CreatePartitionsRequestTopic{Topic: t, Count: 2})
		elect.Topics = append(elect.Topics, kmsg.ElectLeadersRequestTopic{Topic: t, Partitions: []int32{0}})
		move.Topics = append(move.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: t, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{1}}}})
		producers.Topics = append(producers.Topics, kmsg.DescribeProducersRequestTopic{Topic: t, Partitions: []int32{0}})
		describe.Topics = append(describe.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: t})
		commit.Topics = append(commit.Topics, kmsg.OffsetCommitRequestTopic{Topic: t, TopicID: ids[t], Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}})
		forget.Topics = append(forget.Topics, kmsg.OffsetDeleteRequestTopic{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}})
		offsetsOf.Topics = append(offsetsOf.Topics, kmsg.OffsetFetchRequestTopic{Topic: t, Partitions: []int32{0}})
	}
	for _, g := range []string{"g", "h"} {
		offsetsOf.Groups = append(offsetsOf.Groups, kmsg.OffsetFetchRequestGroup{Group: g})
	}
	commit.Group, commit.Generation, offsetsOf.Group, forget.Group = "g", -1, "g", "g"
	for _, r := range []struct {
		kind kmsg.ConfigResourceType
		name string
	}{{kmsg.ConfigResourceTypeTopic, "t"}, {kmsg.ConfigResourceTypeTopic, "u"}, {kmsg.ConfigResourceTypeGroupConfig, "g"}, {kmsg.ConfigResourceTypeBroker, "1"}, {kmsg.ConfigResourceTypeBroker, ""}} {
		configs.Resources = append(configs.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: r.kind, ResourceName: r.name})
		alter.Resources = append(alter.Resources, kmsg.AlterConfigsRequestResource{ResourceType: r.kind, ResourceName: r.name})
		increment.Resources = append(increment.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: r.kind, ResourceName: r.name})
	}
	transactional := *produce
	transactional.TransactionID = text("x")
	cluster := kmsg.NewPtrDescribeClusterRequest()
	cluster.IncludeClusterAuthorizedOperations = true
	all := kmsg.NewPtrMetadataRequest()
	all.IncludeClusterAuthorizedOperations = true
	groups := []string{"g", "h"}
	filter := kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.ResourcePatternType, filter.Operation, filter.PermissionType = 1, 1, 1, 1
	creation := kmsg.CreateACLsRequestCreation{ResourceType: 2, ResourcePatternType: 3, ResourceName: "t", Principal: "User:nobody", Host: "*", Operation: 2, PermissionType: 3}
	describeACLs := kmsg.NewPtrDescribeACLsRequest()
	describeACLs.ResourceType, describeACLs.ResourcePatternType, describeACLs.Operation, describeACLs.PermissionType = 1, 1, 1, 1
	alterQuotas := &kmsg.AlterClientQuotasRequest{}
	for _, user := range both {
		alterQuotas.Entries = append(alterQuotas.Entries, kmsg.AlterClientQuotasRequestEntry{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: text(user)}},
			Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1}}})
	}
	none := []string{"", "ErrorCode=0"}
	topics := []string{"", "ErrorCode=0", "t", "u", "id:t", "id:u"} // whose partitions are refused
	return map[kmsg.Key][]attempt{
		kmsg.Produce:                    {{9, produce, topics, 2}, {13, produce, topics, 2}, {9, &transactional, topics, 2}},
		kmsg.Fetch:                      {{11, fetch, topics, 2}, {13, fetch, topics, 2}},
		kmsg.ListOffsets:                {{7, list, topics, 2}},
		kmsg.Metadata:                   {{9, byName, none, 2}, {12, byID, none, 2}, {9, all, none, 0}},
		kmsg.CreateTopics:               {{7, create, none, 2}},
		kmsg.DeleteTopics:               {{5, remove, none, 2}, {6, removeByID, none, 2}},
		kmsg.DeleteRecords:              {{2, trim, topics, 2}},
		kmsg.InitProducerID:             {{4, &kmsg.InitProducerIDRequest{}, nil, 1}, {4, &kmsg.InitProducerIDRequest{TransactionalID: text("x")}, nil, 1}},
		kmsg.OffsetForLeaderEpoch:       {{4, epochs, topics, 2}},
		kmsg.DescribeACLs:               {{3, describeACLs, nil, 1}},
		kmsg.CreateACLs:                 {{3, &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{creation, creation}}, none, 2}},
		kmsg.DeleteACLs:                 {{3, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{filter, filter}}, none, 2}},
		kmsg.DescribeConfigs:            {{4, configs, none, 5}},
		kmsg.AlterConfigs:               {{2, alter, none, 5}},
		kmsg.IncrementalAlterConfigs:    {{1, increment, none, 5}},
		kmsg.DescribeLogDirs:            {{4, &kmsg.DescribeLogDirsRequest{}, nil, 1}, {1, &kmsg.DescribeLogDirsRequest{}, none, 0}},
		kmsg.CreatePartitions:           {{3, grow, none, 2}},
		kmsg.ElectLeaders:               {{2, elect, topics, 3}, {2, &kmsg.ElectLeadersRequest{}, nil, 1}},
		kmsg.AlterPartitionAssignments:  {{0, move, topics, 3}},
		kmsg.ListPartitionReassignments: {{0, &kmsg.ListPartitionReassignmentsRequest{}, nil, 1}},
		kmsg.DescribeCluster:            {{1, cluster, none, 0}},
		kmsg.DescribeProducers:          {{0, producers, topics, 2}},
		kmsg.DescribeTopicPartitions:    {{0, describe, none, 2}, {0, &kmsg.DescribeTopicPartitionsRequest{}, none, 0}},
		kmsg.OffsetCommit:               {{8, commit, topics, 2}, {10, commit, topics, 2}},
		kmsg.OffsetFetch:                {{7, offsetsOf, nil, 1}, {1, offsetsOf, topics, 2}, {8, offsetsOf, none, 2}},
		kmsg.FindCoordinator: {{4, &kmsg.FindCoordinatorRequest{CoordinatorKeys: groups}, none, 2}, {3, &kmsg.FindCoordinatorRequest{CoordinatorKey: "g"}, nil, 1},
			{4, &kmsg.FindCoordinatorRequest{CoordinatorType: 1, CoordinatorKeys: groups}, none, 2}},
		kmsg.JoinGroup:      {{9, &kmsg.JoinGroupRequest{Group: "g", ProtocolType: "consumer", SessionTimeoutMillis: 10000, Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "r"}}}, nil, 1}},
		kmsg.Heartbeat:      {{4, &kmsg.HeartbeatRequest{Group: "g"}, nil, 1}},
		kmsg.LeaveGroup:     {{5, &kmsg.LeaveGroupRequest{Group: "g", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}}, nil, 1}},
		kmsg.SyncGroup:      {{5, &kmsg.SyncGroupRequest{Group: "g", ProtocolType: text("consumer"), Protocol: text("r")}, nil, 1}},
		kmsg.DescribeGroups: {{5, &kmsg.DescribeGroupsRequest{Groups: groups, IncludeAuthorizedOperations: true}, none, 2}},
		kmsg.ListGroups:     {{4, &kmsg.ListGroupsRequest{}, none, 0}},
		kmsg.DescribeUserSCRAMCredentials: {{0, &kmsg.DescribeUserSCRAMCredentialsRequest{}, nil, 1},
			{0, &kmsg.DescribeUserSCRAMCredentialsRequest{Users: []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: "a"}, {Name: "b"}}}, nil, 3}},
		kmsg.AlterUserSCRAMCredentials: {{0, &kmsg.AlterUserSCRAMCredentialsRequest{Deletions: []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "a", Mechanism: 1}, {Name: "b", Mechanism: 1}}}, none, 2}},
		kmsg.CreateDelegationToken:     {{3, &kmsg.CreateDelegationTokenRequest{OwnerPrincipalType: text("User"), OwnerPrincipalName: text("admin")}, nil, 1}},
		kmsg.DescribeDelegationToken:   {{3, &kmsg.DescribeDelegationTokenRequest{}, []string{"ErrorCode=0"}, 0}, {3, &kmsg.DescribeDelegationTokenRequest{Owners: []kmsg.DescribeDelegationTokenRequestOwner{{PrincipalType: "User", PrincipalName: "admin"}}}, none, 0}},
		kmsg.ListConfigResources:       {{1, &kmsg.ListConfigResourcesRequest{}, nil, 1}, {0, &kmsg.ListConfigResourcesRequest{}, nil, 1}},
		kmsg.DescribeClientQuotas:      {{1, &kmsg.DescribeClientQuotasRequest{}, nil, 1}},
		kmsg.AlterClientQuotas:         {{1, alterQuotas, none, 2}},
		kmsg.UpdateFeatures:            {{2, &kmsg.UpdateFeaturesRequest{FeatureUpdates: []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: levelFeature, MaxVersionLevel: 4, UpgradeType: 1}}}, nil, 1}},
		kmsg.OffsetDelete:              {{0, forget, nil, 1}},
		kmsg.DeleteGroups:              {{2, &kmsg.DeleteGroupsRequest{Groups: groups}, none, 2}},
	}
}

// partly are rights that a request needs before it is asked about the rest of what its API
// needs.
var partly = map[kmsg.Key]func(s *secured){
	kmsg.Metadata:     func(s *secured) { s.allow("User:part", opDescribe, onTopic, "missing") },
	kmsg.CreateTopics: func(s *secured) { s.allow("User:part", opCreate, onTopic, "new-t") },
	kmsg.DeleteTopics: func(s *secured) { s.allow("User:part", opDescribe, onTopic, "t") },
	kmsg.OffsetCommit: func(s *secured) { s.allow("User:part", opRead, onGroup, "g") },
	kmsg.OffsetFetch:  func(s *secured) { s.allow("User:part", opDescribe, onGroup, "g") },
	kmsg.OffsetDelete: func(s *secured) { s.allow("User:part", opDelete, onGroup, "g") },
}

var refusal = regexp.MustCompile(`ErrorCode=(29|30|31|53|65)$`)

// TestEveryRequestIsAuthorized calls every API of the table as a principal without rights:
// each part of each answer is a refusal and nothing is shown. Together with a principal
// that has a few rights it makes the API ask for all that its row says, and for nothing
// else. An API that is new needs attempts here.
func TestEveryRequestIsAuthorized(t *testing.T) {
	withSecured(t, func(s *secured) {
		ids := map[string]id.Topic{"t": s.topic("t"), "u": s.topic("u")}
		names := map[[16]byte]string{ids["t"]: "t", ids["u"]: "u"}
		admin := s.connect("User:admin")
		for _, g := range []string{"g", "h"} {
			admin.ask(8, &kmsg.OffsetCommitRequest{Group: g, Generation: -1, Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}})
		}
		admin.ask(3, kmsg.NewPtrCreateDelegationTokenRequest())
		for _, give := range partly {
			give(s)
		}
		asked := map[string]bool{}
		s.broker.authorizer.observe = func(op acl.Operation, on acl.ResourceType) { asked[access{op, on}.String()] = true }
		all := attempts(s, ids)
		for _, a := range s.broker.apis.rows() {
			clear(asked)
			if open[a.key] != "" {
				continue
			}
			if len(a.needs) == 0 || len(all[a.key]) == 0 {
				t.Errorf("%s: nothing shows that it is authorized", a.key.Name())
			}
			for _, x := range all[a.key] {
				checkRefused(t, fmt.Sprintf("%s version %d", a.key.Name(), x.version), x, summary(s.connect("User:nobody").ask(x.version, x.req), names))
				s.connect("User:part").ask(x.version, x.req)
			}
			if a.key == kmsg.Metadata {
				s.connect("User:part").ask(9, &kmsg.MetadataRequest{AllowAutoTopicCreation: true, Topics: []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("missing")}}})
			}
			for _, need := range a.needs {
				if text := (access{need.operation, need.on()}).String(); !asked[text] {
					t.Errorf("%s never asks for %s", a.key.Name(), text)
				} else {
					delete(asked, text)
				}
			}
			for text := range asked {
				t.Errorf("%s asks for %s, which its row doesn't say", a.key.Name(), text)
			}
		}
		if got := s.view.ACLs.Rules().Len(); got != len(partly) {
			t.Errorf("%d ACLs are left of %d", got, len(partly))
		}
		for _, name := range []string{"t", "u"} {
			if topic, ok := s.view.Topic(name); !ok || topic.Partitions != 1 {
				t.Errorf("topic %s was changed", name)
			}
		}
	})
}

func checkRefused(t *testing.T, what string, x attempt, lines []string) {
	t.Helper()
	parts := 0
	for _, l := range lines {
		switch {
		case refusal.MatchString(l):
			parts++
		case !slices.Contains(x.shows, l):
			t.Errorf("%s shows %q", what, l)
		}
	}
	if parts != x.parts {
		t.Errorf("%s: %d parts are refused, want %d: %q", what, parts, x.parts, lines)
	}
}
