// AlterClientQuotas, versions 0 to 1: 0 sets and removes quotas of users, client ids and
// addresses (KIP-546, KIP-612).

package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/quota"
)

// quotaAlteration is what is to be done with an entity's quotas.
type quotaAlteration struct {
	names   []kmsg.AlterClientQuotasRequestEntryEntity // of its parts
	entity  quota.Entity
	changes map[quota.Key]float64
	err     error
	twice   bool // the request names it again
}

// alterClientQuotas changes the quotas of entities, each for itself. As by Kafka, the first of
// several changes of one entity is made, and answered as a mistake.
func (api *quotaAPIs) alterClientQuotas(ctx context.Context, c *caller, req *kmsg.AlterClientQuotasRequest) *kmsg.AlterClientQuotasResponse {
	resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	denied := c.check(opAlterConfigs, onCluster, theCluster)
	var order []*quotaAlteration
	by := map[string]*quotaAlteration{}
	for i := range req.Entries {
		a := readAlteration(&req.Entries[i])
		if denied != nil {
			a.err = denied
		}
		key := a.String()
		if first := by[key]; first != nil && denied == nil {
			first.twice = true
			continue
		}
		by[key] = a
		order = append(order, a)
	}
	all := newSeveral()
	for _, a := range order {
		all.add(func() { api.alter(ctx, c, a, req.ValidateOnly) })
	}
	all.wait()
	for _, a := range order {
		resp.Entries = append(resp.Entries, a.response())
	}
	return resp
}

// String returns Kafka's text of an entity.
func (a *quotaAlteration) String() string {
	var parts []string
	for _, n := range a.names {
		name := "null"
		if n.Name != nil {
			name = *n.Name
		}
		parts = append(parts, n.Type+"="+name)
	}
	return "ClientQuotaEntity(entries={" + strings.Join(parts, ", ") + "})"
}

// readAlteration returns what an entry of a request asks for, with an error if it makes no sense.
func readAlteration(entry *kmsg.AlterClientQuotasRequestEntry) *quotaAlteration {
	a := &quotaAlteration{changes: map[quota.Key]float64{}}
	a.readEntity(entry)
	if a.err == nil {
		a.err = a.entity.Validate()
	}
	done := map[string]bool{}
	for _, op := range entry.Ops {
		if done[op.Key] {
			a.err = refuse(kerr.InvalidRequest, "Ignoring duplicate entity %v", a)
			return a
		}
		done[op.Key] = true
	}
	for _, op := range entry.Ops {
		if a.err != nil {
			break
		}
		a.readOp(op)
	}
	var wrong *quota.InvalidError
	if errors.As(a.err, &wrong) {
		a.err = refuse(kerr.InvalidRequest, "%v", wrong)
	}
	return a
}

// readOp reads one change. What an entity can't have may be removed.
func (a *quotaAlteration) readOp(op kmsg.AlterClientQuotasRequestEntryOp) {
	if op.Remove {
		if k, ok := quota.ParseKey(op.Key); ok {
			a.changes[k] = 0
		}
		return
	}
	k, err := quota.CheckValue(a.entity, op.Key, op.Value)
	if a.err = err; err == nil {
		a.changes[k] = op.Value
	}
}

// readEntity reads the parts of an entity. The last one of a type counts.
func (a *quotaAlteration) readEntity(entry *kmsg.AlterClientQuotasRequestEntry) {
	for _, of := range quota.Types() {
		for i := len(entry.Entity) - 1; i >= 0; i-- {
			if n := entry.Entity[i]; n.Type == string(of) {
				a.names = append(a.names, n)
				*a.entity.Part(of) = quota.Default()
				if n.Name != nil && *n.Name == "" {
					a.err = refuse(kerr.InvalidRequest, "Empty %s not supported", of)
				} else if n.Name != nil {
					*a.entity.Part(of) = quota.Named(quotaName(of, *n.Name))
				}
				break
			}
		}
	}
	for _, n := range entry.Entity {
		if a.entity.Part(quota.Type(n.Type)) == nil {
			a.names = append(a.names, n)
			a.err = refuse(kerr.InvalidRequest, "Unhandled client quota entity type: %s", n.Type)
		}
	}
}

// alter changes an entity's quotas, or checks whether it could.
func (api *quotaAPIs) alter(ctx context.Context, c *caller, a *quotaAlteration, validateOnly bool) {
	switch {
	case a.err != nil:
		return
	case validateOnly:
		a.err = api.editor.CheckQuotas(a.entity)
		return
	}
	if a.err = api.editor.AlterQuotas(ctx, a.entity, a.changes); a.err != nil {
		return
	}
	var set, removed []string
	for _, k := range quota.Keys() {
		value, ok := a.changes[k]
		switch {
		case ok && value > 0:
			set = append(set, fmt.Sprintf("%v=%v", k, value))
		case ok:
			removed = append(removed, k.String())
		}
	}
	api.audit.Info("quotas changed", "entity", short(a.entity.String()), "set", strings.Join(set, " "), "removed", strings.Join(removed, " "), c.attr())
}

func (a *quotaAlteration) response() kmsg.AlterClientQuotasResponseEntry {
	r := kmsg.NewAlterClientQuotasResponseEntry()
	if a.twice && a.err == nil {
		a.err = refuse(kerr.InvalidRequest, "Ignoring duplicate entity %v", a)
	}
	r.ErrorCode, r.ErrorMessage = coded(a.err)
	for _, n := range a.names {
		r.Entity = append(r.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: n.Type, Name: n.Name})
	}
	return r
}
