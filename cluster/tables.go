package cluster

import (
	"varve/auth/acl"
	"varve/auth/quota"
	"varve/internal/id"
	"varve/internal/notify"
	"varve/metadata"
	"varve/metadata/schema"
)

// tables are a view's records, a table for each kind, and what is derived from them.
type tables struct {
	cluster    *table[struct{}, levelRecord]
	levels     *table[id.Broker, schema.Levels]
	agents     *table[id.Broker, Live]
	journals   *table[id.Journal, Journal]
	slots      *table[int, Role]
	controller *table[struct{}, Role]
	members    *table[id.Broker, schema.Member]
	topics     *table[string, *Topic]
	deleted    *table[id.Topic, schema.DeletedTopic]
	owners     *table[id.Partition, schema.StoredOwnership]
	moves      *table[id.Partition, Move]
	drained    *table[id.Broker, bool]
	loads      *table[id.Broker, schema.Load]
	settings   *table[configured, schema.Settings]
	users      *table[string, schema.User]
	acls       *table[acl.Binding, schema.ACL]
	quotas     *table[quota.Entity, quota.Values]
	tokens     *table[string, schema.Token]

	level    *Levels     // of cluster
	homes    homes       // of agents and members
	byID     topicsByID  // of topics
	owned    *owned      // of owners
	rules    *ACLs       // of acls
	quota    *Quotas     // of quotas
	proofs   tokenProofs // of tokens, as are tokensOf and tokensBy
	tokensOf tokenOwners
	tokensBy tokenSecrets
	newToken *notify.Broadcast // at every change of a token
}

func newTables() tables {
	t := tables{level: newLevels(), homes: homes{}, byID: topicsByID{}, owned: newOwned(), rules: newACLs(), quota: newQuotas(), proofs: tokenProofs{}, tokensOf: tokenOwners{}, tokensBy: tokenSecrets{}, newToken: new(notify.Broadcast)}
	t.cluster = newTable(only(schema.KeyCluster), decodeCluster)
	t.cluster.changed = t.level.changed
	t.levels = newTable(schema.ParseLevelsKey, plain[id.Broker](schema.DecodeLevels))
	t.agents = newTable(schema.ParseAgentKey, decodeLive)
	t.agents.changed = t.homes.agentChanged
	t.journals = newTable(schema.ParseJournalKey, decodeJournal)
	t.slots = newTable(schema.ParseSlotKey, decodeRole[int])
	t.controller = newTable(only(schema.KeyController), decodeRole[struct{}])
	t.members = newTable(schema.ParseMemberKey, plain[id.Broker](schema.DecodeMember))
	t.members.changed = t.homes.memberChanged
	t.topics = newTable(schema.ParseTopicKey, decodeTopic)
	t.topics.changed = t.byID.changed
	t.deleted = newTable(schema.ParseDeletedKey, plain[id.Topic](schema.DecodeDeletedTopic))
	t.owners = newTable(schema.ParseOwnerKey, decodeOwner)
	t.owners.changed = t.owned.changed
	t.owners.silent = func(before, now schema.StoredOwnership) bool { return ownerOf(before) == ownerOf(now) } // its chain is the owner's matter
	t.moves = newTable(schema.ParseMoveKey, decodeMove)
	t.drained = newTable(schema.ParseDrainKey, decodeDrained)
	t.loads = newTable(schema.ParseLoadKey, plain[id.Broker](schema.DecodeLoad))
	t.loads.silent = func(schema.Load, schema.Load) bool { return true } // whoever needs them looks now and then
	t.settings = newTable(parseConfigured, plain[configured](schema.DecodeSettings))
	t.users = newTable(schema.ParseUserKey, plain[string](schema.DecodeUser))
	t.tokens = newTable(schema.ParseTokenKey, plain[string](schema.DecodeToken))
	t.tokens.changed = t.tokenChanged
	t.tokens.silent = func(schema.Token, schema.Token) bool { return true } // whoever needs them looks at each login
	t.acls = newTable(schema.ParseACLKey, anyACL)
	t.acls.changed, t.acls.settled = t.rules.changed, t.rules.publish
	t.acls.silent = func(schema.ACL, schema.ACL) bool { return true } // whoever needs them looks at each request
	t.quotas = newTable(schema.ParseQuotaKey, decodeQuotas)
	t.quotas.changed, t.quotas.settled = t.quota.changed, t.quota.publish
	t.quotas.silent = func(quota.Values, quota.Values) bool { return true } // whoever needs them looks at each request
	return t
}

// decodeQuotas reads an entity's quotas, which must be such as it may have.
func decodeQuotas(e quota.Entity, kv metadata.KV) (quota.Values, error) {
	v, err := schema.DecodeQuotas(kv.Value)
	if err == nil {
		err = v.Validate(e)
	}
	return v, err
}

// kinds lists all tables. What others refer to comes first: changes of one transaction are
// mostly seen in this order.
func (t *tables) kinds() []kind {
	return []kind{{schema.KeyCluster, t.cluster}, {schema.PrefixLevels, t.levels}, {schema.PrefixAgents, t.agents}, {schema.KeyController, t.controller}, {schema.PrefixSlots, t.slots},
		{schema.PrefixJournals, t.journals}, {schema.PrefixTopics, t.topics}, {schema.PrefixDeleted, t.deleted},
		{schema.PrefixConfigs, t.settings}, {schema.PrefixUsers, t.users}, {schema.PrefixACLs, t.acls}, {schema.PrefixQuotas, t.quotas}, {schema.PrefixTokens, t.tokens},
		{schema.PrefixOwners, t.owners}, {schema.PrefixMoves, t.moves},
		{schema.PrefixDrained, t.drained}, {schema.PrefixLoads, t.loads}, {schema.PrefixMembers, t.members}}
}
