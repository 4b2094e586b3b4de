package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/metadata"
)

func (b *Broker) alterConfigs(ctx context.Context, _ *conn, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := b.alter(ctx, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s metadata.Settings) error {
			clear(s)
			for _, c := range r.Configs {
				if c.Value == nil {
					return refuse(kerr.InvalidRequest, "Null value not supported for %s", c.Name)
				}
				s[c.Name] = *c.Value
			}
			return nil
		})
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

func (b *Broker) incrementalAlterConfigs(ctx context.Context, _ *conn, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := b.alter(ctx, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s metadata.Settings) error {
			return b.increment(s, r)
		})
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

// increment applies set, delete, append and subtract (KIP-339).
func (b *Broker) increment(s metadata.Settings, r *kmsg.IncrementalAlterConfigsRequestResource) error {
	seen := map[string]bool{}
	for _, c := range r.Configs {
		if seen[c.Name] {
			return refuse(kerr.InvalidRequest, "Due to multiple occurrences of the config key %s", c.Name)
		}
		seen[c.Name] = true
		if c.Op == kmsg.IncrementalAlterConfigOpDelete {
			delete(s, c.Name)
			continue
		}
		if c.Value == nil {
			return refuse(kerr.InvalidRequest, "Null value not supported for %s", c.Name)
		}
		if c.Op == kmsg.IncrementalAlterConfigOpSet {
			s[c.Name] = *c.Value
			continue
		}
		list, err := b.changeList(r.ResourceType, s, c.Name, *c.Value, c.Op)
		if err != nil {
			return err
		}
		s[c.Name] = list
	}
	return nil
}

func (b *Broker) changeList(kind kmsg.ConfigResourceType, s metadata.Settings, name, value string, op kmsg.IncrementalAlterConfigOp) (string, error) {
	d := cluster.Find(definitionsOf(kind), name)
	if d == nil {
		return "", refuse(cluster.ErrUnknownConfig, "Unknown configuration %s", name)
	}
	if d.Type != cluster.TypeList {
		return "", refuse(kerr.InvalidConfig, "Config value append/subtract is not allowed for config key: %s", name)
	}
	now, ok := s[name]
	if !ok {
		now = d.Default
	}
	list := cluster.SplitList(now)
	for _, e := range cluster.SplitList(value) {
		has := slices.Contains(list, e)
		if op == kmsg.IncrementalAlterConfigOpAppend && !has {
			list = append(list, e)
		} else if op == kmsg.IncrementalAlterConfigOpSubtract && has {
			list = slices.DeleteFunc(list, func(x string) bool { return x == e })
		}
	}
	return cluster.JoinList(list), nil
}

func definitionsOf(kind kmsg.ConfigResourceType) []cluster.Definition {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return cluster.TopicDefinitions()
	case kmsg.ConfigResourceTypeGroupConfig:
		return cluster.GroupDefinitions()
	}
	return cluster.BrokerDefinitions()
}

// alter changes the settings of a resource, or only checks the change.
func (b *Broker) alter(ctx context.Context, kind kmsg.ConfigResourceType, name string, validateOnly bool, change func(metadata.Settings) error) error {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	checked := func(check func(metadata.Settings) error) func(metadata.Settings) error {
		return func(s metadata.Settings) error {
			if err := change(s); err != nil {
				return err
			}
			if err := check(s); err != nil {
				return err
			}
			if validateOnly {
				return errValidated
			}
			return nil
		}
	}
	var err error
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		before, _ := b.deps.View.Topic(name)
		err = b.deps.View.AlterTopic(ctx, name, checked(cluster.CheckTopicConfig))
		if after, ok := b.deps.View.Topic(name); err == nil && ok && (before == nil || before.Config["cleanup.policy"] != after.Config["cleanup.policy"]) {
			b.warnOfCompaction(name, after.Config)
		}
	case kmsg.ConfigResourceTypeBroker:
		if err = b.checkBroker(name); err == nil {
			err = b.deps.View.AlterBroker(ctx, name, checked(b.checkBrokerConfig))
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		err = b.deps.View.AlterGroup(ctx, name, checked(cluster.CheckGroupConfig))
	default:
		err = refuse(kerr.InvalidRequest, "Resource type %d has no settings here", kind)
	}
	if err == errValidated {
		return nil
	}
	return err
}

// checkBrokerConfig refuses what only the configuration file decides.
func (b *Broker) checkBrokerConfig(s metadata.Settings) error {
	var fixed []string
	for _, d := range b.fixedSettings() {
		if _, ok := s[d.Name]; ok {
			fixed = append(fixed, d.Name)
		}
	}
	if len(fixed) > 0 {
		return refuse(kerr.InvalidRequest, "Cannot update these configs dynamically: [%s]", strings.Join(fixed, ", "))
	}
	return cluster.CheckBrokerConfig(s)
}

// errValidated ends a change that was only to be checked.
var errValidated = fmt.Errorf("validated only")
