// IncrementalAlterConfigs, versions 0 to 1: 0 single settings are changed (KIP-339).

package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
	"varve/metadata/schema"
)

func (api *configAPIs) incrementalAlterConfigs(ctx context.Context, c *caller, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		var err error
		if r.ResourceType == kmsg.ConfigResourceTypeBrokerLogger {
			err = api.alterLoggers(c, r, req.ValidateOnly)
		} else {
			err = api.alter(ctx, c, r.ResourceType, r.ResourceName, req.ValidateOnly, func(s schema.Settings) error {
				return increment(s, r)
			})
		}
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = codeOf(err).Code, said(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

// increment applies set, delete, append and subtract (KIP-339).
func increment(s schema.Settings, r *kmsg.IncrementalAlterConfigsRequestResource) error {
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
		list, err := changeList(r.ResourceType, s, c.Name, *c.Value, c.Op)
		if err != nil {
			return err
		}
		s[c.Name] = list
	}
	return nil
}

func changeList(kind kmsg.ConfigResourceType, s schema.Settings, name, value string, op kmsg.IncrementalAlterConfigOp) (string, error) {
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
