// AlterConfigs, versions 0 to 2: 0 all settings of a resource are replaced (KIP-133).

package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/metadata/schema"
)

func (api *configAPIs) alterConfigs(ctx context.Context, c *caller, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := api.alter(ctx, c, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s schema.Settings) error {
			clear(s)
			for _, new := range r.Configs {
				if new.Value == nil {
					return refuse(kerr.InvalidRequest, "Null value not supported for %s", new.Name)
				}
				s[new.Name] = *new.Value
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

func definitionsOf(kind kmsg.ConfigResourceType) []cluster.Definition {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return cluster.TopicDefinitions()
	case kmsg.ConfigResourceTypeGroupConfig:
		return cluster.GroupDefinitions()
	case kmsg.ConfigResourceTypeClientMetrics:
		return cluster.ClientMetricsDefinitions()
	}
	return cluster.BrokerDefinitions()
}

// alter changes the settings of a resource, or only checks the change.
func (api *configAPIs) alter(ctx context.Context, c *caller, kind kmsg.ConfigResourceType, name string, validateOnly bool, change func(schema.Settings) error) error {
	if err := mayConfigure(c, opAlterConfigs, kind, name); err != nil {
		return err
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	var was, now schema.Settings
	checked := func(check func(schema.Settings) error) func(schema.Settings) error {
		return func(s schema.Settings) error {
			was, now = maps.Clone(s), s
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
		before, _ := api.view.Topic(name)
		err = api.editor.AlterTopic(ctx, name, checked(cluster.CheckTopicConfig))
		if after, ok := api.view.Topic(name); err == nil && ok && (before == nil || before.Config["cleanup.policy"] != after.Config["cleanup.policy"]) {
			warnOfCompaction(api.log, name, after.Config)
		}
	case kmsg.ConfigResourceTypeBroker:
		if err = api.checkBroker(name); err == nil {
			err = api.editor.AlterBroker(ctx, name, checked(api.checkBrokerConfig))
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		err = api.editor.AlterGroup(ctx, name, checked(cluster.CheckGroupConfig))
	case kmsg.ConfigResourceTypeClientMetrics:
		if name == "" {
			return refuse(kerr.InvalidRequest, "Default client metrics resources are not allowed.")
		}
		if now, _ := api.view.Levels.Cluster(); now.Level < schema.ClientMetricsLevel {
			return refuse(kerr.UnsupportedVersion, "Subscriptions to client metrics need level %d, the cluster is at level %d: finalize the upgrade (varve cluster finalize).", schema.ClientMetricsLevel, now.Level)
		}
		err = api.editor.AlterClientMetrics(ctx, name, checked(checkClientMetrics))
	default:
		err = refuse(kerr.InvalidRequest, "Resource type %d has no settings here", kind)
	}
	if err == errValidated {
		return nil
	}
	if err == nil {
		api.audit.Info("settings changed", "of", strings.ToLower(kind.String()), "name", name, "changes", short(differences(was, now)), c.attr())
	}
	return err
}

// differences lists what changed, as "name: before -> after".
func differences(before, after schema.Settings) string {
	all := maps.Clone(before)
	if all == nil {
		all = schema.Settings{}
	}
	maps.Copy(all, after)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := before[name]
		is, has := after[name]
		if was == is && had == has {
			continue
		}
		if !had {
			was = "default"
		}
		if !has {
			is = "default"
		}
		out = append(out, name+": "+was+" -> "+is)
	}
	return strings.Join(out, ", ")
}

// checkBrokerConfig refuses what only the configuration file decides.
func (api *configAPIs) checkBrokerConfig(s schema.Settings) error {
	var fixed []string
	for _, d := range api.fixed {
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
