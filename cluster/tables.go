package cluster

import (
	"varve/internal/id"
	"varve/metadata"
)

// tables are a view's records, a table for each kind, and what is derived from them.
type tables struct {
	agents     *table[id.Broker, Live]
	journals   *table[id.Journal, Journal]
	slots      *table[int, Role]
	controller *table[struct{}, Role]
	members    *table[id.Broker, metadata.Member]
	topics     *table[string, *Topic]
	deleted    *table[id.Topic, metadata.DeletedTopic]
	owners     *table[id.Partition, metadata.StoredOwnership]
	moves      *table[id.Partition, Move]
	drained    *table[id.Broker, bool]
	loads      *table[id.Broker, metadata.Load]
	settings   *table[configured, metadata.Settings]

	homes homes      // of agents and members
	byID  topicsByID // of topics
	owned *owned     // of owners
}

func newTables() tables {
	t := tables{homes: homes{}, byID: topicsByID{}, owned: &owned{by: map[id.Broker]map[id.Partition]struct{}{}}}
	t.agents = newTable(metadata.ParseAgentKey, decodeLive)
	t.agents.changed = t.homes.agentChanged
	t.journals = newTable(metadata.ParseJournalKey, decodeJournal)
	t.slots = newTable(metadata.ParseSlotKey, decodeRole[int])
	t.controller = newTable(only(metadata.KeyController), decodeRole[struct{}])
	t.members = newTable(metadata.ParseMemberKey, plain[id.Broker](metadata.DecodeMember))
	t.members.changed = t.homes.memberChanged
	t.topics = newTable(metadata.ParseTopicKey, decodeTopic)
	t.topics.changed = t.byID.changed
	t.deleted = newTable(metadata.ParseDeletedKey, plain[id.Topic](metadata.DecodeDeletedTopic))
	t.owners = newTable(metadata.ParseOwnerKey, decodeOwner)
	t.owners.changed = t.owned.changed
	t.owners.silent = func(before, now metadata.StoredOwnership) bool { return ownerOf(before) == ownerOf(now) } // its chain is the owner's matter
	t.moves = newTable(metadata.ParseMoveKey, decodeMove)
	t.drained = newTable(metadata.ParseDrainKey, decodeDrained)
	t.loads = newTable(metadata.ParseLoadKey, plain[id.Broker](metadata.DecodeLoad))
	t.loads.silent = func(metadata.Load, metadata.Load) bool { return true } // whoever needs them looks now and then
	t.settings = newTable(parseConfigured, plain[configured](metadata.DecodeSettings))
	return t
}

// kinds lists all tables. What others refer to comes first: changes of one transaction are
// mostly seen in this order.
func (t *tables) kinds() []kind {
	return []kind{{metadata.PrefixAgents, t.agents}, {metadata.KeyController, t.controller}, {metadata.PrefixSlots, t.slots},
		{metadata.PrefixJournals, t.journals}, {metadata.PrefixTopics, t.topics}, {metadata.PrefixDeleted, t.deleted},
		{metadata.PrefixConfigs, t.settings}, {metadata.PrefixOwners, t.owners}, {metadata.PrefixMoves, t.moves},
		{metadata.PrefixDrained, t.drained}, {metadata.PrefixLoads, t.loads}, {metadata.PrefixMembers, t.members}}
}
