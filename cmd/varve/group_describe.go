package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"varve/internal/say"
)

// groupDetail is what group describe tells.
type groupDetail struct {
	Group        string        `json:"group"`
	State        string        `json:"state"`
	ProtocolType string        `json:"protocol_type"`
	Protocol     string        `json:"protocol"`
	Coordinator  int32         `json:"coordinator"`
	Lag          int64         `json:"lag"`
	Members      []groupMember `json:"members"`
	Partitions   []groupOffset `json:"partitions"`
}

// groupMember is a member of a group.
type groupMember struct {
	Member     string `json:"member"`
	Instance   string `json:"instance,omitempty"`
	Client     string `json:"client"`
	Host       string `json:"host"`
	Partitions int    `json:"partitions"`
}

// groupOffset is a group's place in a partition; -1 is not known or not there.
type groupOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	End       int64  `json:"end_offset"`
	Lag       int64  `json:"lag"`
	Member    string `json:"member,omitempty"`
	Metadata  string `json:"metadata,omitempty"`
	Error     string `json:"error,omitempty"`
}

func groupDescribeCommand() *cobra.Command {
	return asking[[]groupDetail]{
		names: (*kafkaFlags).groupNames,
		ask:   describeGroups,
		show:  apart(groupDetail.print),
	}.command(&cobra.Command{
		Use:     "describe NAME...",
		Aliases: []string{"info", "show"},
		Short:   "Show a group's members, offsets and lag",
		Example: "  varve group describe readers",
		Args:    cobra.MinimumNArgs(1),
	})
}

// describeGroups returns what it could find and the errors of the rest.
func describeGroups(ctx context.Context, adm *adminClient, names []string) ([]groupDetail, error) {
	lags, err := adm.Lag(ctx, names...)
	if err != nil {
		return nil, sayKafka("describe groups", err, "")
	}
	details := []groupDetail{}
	var errs []error
	for _, l := range lags.Sorted() {
		err := l.Error()
		if err == nil && l.State == "Dead" {
			err = kerr.GroupIDNotFound
		}
		if err != nil {
			errs = append(errs, sayKafka("group "+l.Group, err, ""))
			continue
		}
		details = append(details, describeGroup(l))
	}
	return details, errors.Join(errs...)
}

func describeGroup(l kadm.DescribedGroupLag) groupDetail {
	d := groupDetail{Group: l.Group, State: l.State, ProtocolType: l.ProtocolType, Protocol: l.Protocol, Coordinator: l.Coordinator.NodeID,
		Members: []groupMember{}, Partitions: []groupOffset{}}
	for _, m := range l.Members {
		gm := groupMember{Member: m.MemberID, Client: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			gm.Instance = *m.InstanceID
		}
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				gm.Partitions += len(t.Partitions)
			}
		}
		d.Members = append(d.Members, gm)
	}
	for _, m := range l.Lag.Sorted() {
		o := groupOffset{Topic: m.Topic, Partition: m.Partition, Committed: m.Commit.At, End: m.End.Offset, Lag: m.Lag, Metadata: m.Commit.Metadata}
		if m.Member != nil {
			o.Member = m.Member.MemberID
		}
		if m.Err != nil {
			o.Error = m.Err.Error()
		}
		d.Lag += max(o.Lag, 0)
		d.Partitions = append(d.Partitions, o)
	}
	slices.SortFunc(d.Partitions, func(a, b groupOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return d
}

func (d groupDetail) print(t *table) {
	t.row(fmt.Sprintf("group %s  state %s  protocol %s  coordinator %d  %s  lag %d", d.Group, d.State, orDash(d.Protocol), d.Coordinator, say.Count(len(d.Members), "member"), d.Lag))
	if len(d.Partitions) > 0 {
		t.gap()
		t.row("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER")
		for _, o := range d.Partitions {
			t.row(o.Topic, o.Partition, number(o.Committed), number(o.End), number(o.Lag), orDash(o.Member)+inParentheses(o.Error))
		}
	}
	if len(d.Members) > 0 {
		t.gap()
		t.row("MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS")
		for _, m := range d.Members {
			t.row(m.Member, orDash(m.Instance), m.Client, m.Host, m.Partitions)
		}
	}
}
