package main

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"varve/auth/quota"
)

func quotaCommand() *cobra.Command {
	return parent("quota", "Set, list and delete quotas, which limit how much clients may use", quotaSetCommand(), quotaListCommand(), quotaDeleteCommand())
}

// quotaRow is an entity with its quotas.
type quotaRow struct {
	Entity []quotaPart  `json:"entity"`
	Quotas []quotaValue `json:"quotas"`
}

// quotaPart is a part of an entity.
type quotaPart struct {
	Type    string `json:"type"`
	Name    string `json:"name,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// quotaValue is a quota.
type quotaValue struct {
	Key   string  `json:"key"`
	Value float64 `json:"value"`
}

func (r quotaRow) entity() string {
	var parts []string
	for _, p := range r.Entity {
		name := p.Name
		if p.Default {
			name = "<default>"
		}
		parts = append(parts, p.Type+"="+name)
	}
	return strings.Join(parts, " ")
}

func printQuotas(t *table, rows []quotaRow) {
	if len(rows) == 0 {
		return
	}
	t.row("ENTITY", "QUOTA", "VALUE")
	for _, r := range rows {
		for _, v := range r.Quotas {
			t.row(r.entity(), v.Key, strconv.FormatFloat(v.Value, 'f', -1, 64))
		}
	}
}

// describeQuotas returns the entities that components select.
func describeQuotas(ctx context.Context, adm *adminClient, what string, strict bool, components []kadm.DescribeClientQuotaComponent) ([]quotaRow, error) {
	found, err := adm.DescribeClientQuotas(ctx, strict, components)
	if err != nil {
		return nil, sayKafka(what, err, "")
	}
	rows := []quotaRow{}
	for _, q := range found {
		r := quotaRow{}
		for _, c := range q.Entity {
			p := quotaPart{Type: c.Type, Default: c.Name == nil}
			if c.Name != nil {
				p.Name = *c.Name
			}
			r.Entity = append(r.Entity, p)
		}
		for _, v := range q.Values {
			r.Quotas = append(r.Quotas, quotaValue{v.Key, v.Value})
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// alterQuotas sets and removes quotas of an entity.
func alterQuotas(ctx context.Context, adm *adminClient, what string, e kadm.ClientQuotaEntity, ops []kadm.AlterClientQuotaOp) error {
	answers, err := adm.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{Entity: e, Ops: ops}})
	if err != nil {
		return sayKafka(what, err, "")
	}
	for _, a := range answers {
		if a.Err != nil {
			return sayKafka(what, a.Err, a.ErrMessage)
		}
	}
	return nil
}

// entityFlags name an entity, as rpk does.
type entityFlags struct {
	names, defaults []string
	entity          kadm.ClientQuotaEntity // read
}

func (f *entityFlags) add(c *cobra.Command) {
	s := c.Flags()
	s.StringArrayVar(&f.names, "name", nil, "who: user=NAME, client-id=NAME or ip=ADDRESS; user and client-id may be given both")
	s.StringSliceVar(&f.defaults, "default", nil, "user, client-id or ip: all of them that have no quota of their own")
	completeValues(c, "default", quotaTypes()...)
}

func quotaTypes() (out []string) {
	for _, of := range quota.Types() {
		out = append(out, string(of))
	}
	return out
}

// read makes an entity of the flags.
func (f *entityFlags) read() error {
	add := func(of string, name *string) error {
		if !slices.Contains(quotaTypes(), of) {
			return usagef("%q: must be user, client-id or ip", of)
		}
		for _, c := range f.entity {
			if c.Type == of {
				return usagef("%s is given twice", of)
			}
		}
		f.entity = append(f.entity, kadm.ClientQuotaEntityComponent{Type: of, Name: name})
		return nil
	}
	for _, text := range f.names {
		of, name, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("--name %q: want user=NAME, client-id=NAME or ip=ADDRESS", text)
		}
		if err := add(of, &name); err != nil {
			return err
		}
	}
	for _, of := range f.defaults {
		if err := add(of, nil); err != nil {
			return err
		}
	}
	return nil
}

// components select the entity that was named.
func (f *entityFlags) components() (out []kadm.DescribeClientQuotaComponent) {
	for _, c := range f.entity {
		d := kadm.DescribeClientQuotaComponent{Type: c.Type, MatchName: c.Name, MatchType: kadm.QuotasMatchType(quota.MatchExact)}
		if c.Name == nil {
			d.MatchType = kadm.QuotasMatchType(quota.MatchDefault)
		}
		out = append(out, d)
	}
	return out
}

// one reads the flags of a command that changes one entity.
func (f *entityFlags) one() error {
	if err := f.read(); err != nil {
		return err
	}
	if len(f.entity) == 0 {
		return usagef("say whose quota: --name user=NAME, or --default user for all users that have none")
	}
	return nil
}

// quotaKeys completes names of quotas in a shell.
func quotaKeys(end string) []string {
	var out []string
	for _, k := range quota.Keys() {
		out = append(out, k.String()+end)
	}
	return out
}

// byteUnits are what numbers of bytes may end with.
var byteUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}}

// quotaNumber reads a quota's value.
func quotaNumber(text string) (float64, bool) {
	factor := 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return n * factor, err == nil && n > 0 && !math.IsInf(n, 0)
}
