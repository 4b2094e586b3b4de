// DescribeClientQuotas, versions 0 to 1: 0 quotas of users, client ids and addresses (KIP-546,
// KIP-612).

package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/quota"
)

func (api *quotaAPIs) describeClientQuotas(_ context.Context, c *caller, req *kmsg.DescribeClientQuotasRequest) *kmsg.DescribeClientQuotasResponse {
	resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	err := c.check(opDescribeConfigs, onCluster, theCluster)
	var f quota.Filter
	if err == nil {
		f, err = quotaFilter(req)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = coded(err)
		return resp
	}
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	for e, values := range api.view.Quotas.Set().All() {
		if f.Matches(e) {
			resp.Entries = append(resp.Entries, describeQuotas(e, values))
		}
	}
	return resp
}

// quotaFilter returns what is asked for, if it makes sense.
func quotaFilter(req *kmsg.DescribeClientQuotasRequest) (quota.Filter, error) {
	f := quota.Filter{Strict: req.Strict}
	seen := map[quota.Type]bool{}
	for _, c := range req.Components {
		of, match := quota.Type(c.EntityType), quota.Match(c.MatchType)
		switch {
		case of == "":
			return f, refuse(kerr.InvalidRequest, "Invalid empty entity type.")
		case seen[of]:
			return f, refuse(kerr.InvalidRequest, "Entity type %s cannot appear more than once in the filter.", of)
		case !slices.Contains(quota.Types(), of):
			return f, refuse(kerr.UnsupportedVersion, "Unsupported entity type %s", of)
		case match == quota.MatchExact && c.Match == nil:
			return f, refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_EXACT, but set match string to null.")
		case match == quota.MatchDefault && c.Match != nil:
			return f, refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.")
		case match == quota.MatchAny && c.Match != nil:
			return f, refuse(kerr.InvalidRequest, "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.")
		case match < quota.MatchExact || match > quota.MatchAny:
			return f, refuse(kerr.InvalidRequest, "Unknown match type %d", match)
		}
		seen[of] = true
		part := quota.Component{Of: of, Match: match}
		if match == quota.MatchExact {
			part.Name = quotaName(of, *c.Match)
		}
		f.Components = append(f.Components, part)
	}
	if seen[quota.IP] && len(seen) > 1 {
		return f, refuse(kerr.InvalidRequest, "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.")
	}
	return f, nil
}

func describeQuotas(e quota.Entity, values quota.Values) kmsg.DescribeClientQuotasResponseEntry {
	entry := kmsg.NewDescribeClientQuotasResponseEntry()
	for _, of := range quota.Types() {
		p := e.Part(of)
		if !p.There {
			continue
		}
		part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		part.Type = string(of)
		if p.Name != "" {
			part.Name = &p.Name
		}
		entry.Entity = append(entry.Entity, part)
	}
	for _, k := range quota.Keys() {
		if values[k] > 0 {
			v := kmsg.NewDescribeClientQuotasResponseEntryValue()
			v.Key, v.Value = k.String(), values[k]
			entry.Values = append(entry.Values, v)
		}
	}
	return entry
}
