package agent

import (
	"cmp"
	"strconv"

	"varve/cluster"
	"varve/internal/id"
)

// names are the names of topics, as the view of the cluster shows them.
type names struct{ view *cluster.View }

// topic returns the name of a topic that exists or whose data is still kept, or "".
func (n names) topic(t id.Topic) string {
	if name := n.live(t); name != "" {
		return name
	}
	return n.view.Deleted()[t].Name
}

// live returns the name of a topic that exists, or "".
func (n names) live(t id.Topic) string {
	if found, ok := n.view.TopicByID(t); ok {
		return found.Name
	}
	return ""
}

// topicOrID returns the topic's name, or its id.
func (n names) topicOrID(t id.Topic) string { return cmp.Or(n.topic(t), t.String()) }

// partition returns the topic's name or id, and the partition's index.
func (n names) partition(p id.Partition) string {
	return n.topicOrID(p.Topic) + "/" + strconv.Itoa(int(p.Index))
}
