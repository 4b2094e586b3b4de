package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// readPlan is where reading begins and ends in every partition.
type readPlan struct {
	begin, end kadm.Offsets
	outside    []string // partitions in which the offset that was asked for is not
	all        bool     // it is outside of all
}

// plan looks up where to begin and end.
func (f *consumeFlags) plan(ctx context.Context, names []string, at span, partitions []int32) ([]string, *readPlan, error) {
	adm, ctx, done, err := f.kafka.admin(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	topics, err := f.find(ctx, adm, names)
	if err != nil {
		return nil, nil, err
	}
	b, err := listBounds(ctx, adm, !f.uncommitted, topics...)
	if err != nil {
		return nil, nil, err
	}
	p := &readPlan{end: b.end.Offsets()}
	if p.begin, err = at.from.resolve(ctx, adm, b, topics...); err != nil {
		return nil, nil, err
	}
	if at.bounded() {
		if p.end, err = at.to.resolve(ctx, adm, b, topics...); err != nil {
			return nil, nil, err
		}
	}
	if err := p.only(partitions); err != nil {
		return nil, nil, err
	}
	if at.from.kind == atOffset {
		p.compare(at.from.n, b)
	}
	if f.group == "" {
		return topics, p, nil
	}
	committed, err := adm.FetchOffsetsForTopics(ctx, f.group, topics...)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, nil, sayKafka("look up the offsets of group "+f.group, err, "")
	}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 {
			p.begin.AddOffset(o.Topic, o.Partition, o.At, -1)
			p.outside, p.all = nil, false
		}
	})
	return topics, p, nil
}

// find looks up the topics, or those that match.
func (f *consumeFlags) find(ctx context.Context, adm *adminClient, names []string) ([]string, error) {
	if !f.regex {
		found, err := adm.ListTopicsWithInternal(ctx, names...)
		if err != nil {
			return nil, sayKafka("look up topics", err, "")
		}
		for _, t := range names {
			if err := found[t].Err; err != nil {
				return nil, sayKafka("topic "+t, err, "")
			}
		}
		return names, nil
	}
	var all []*regexp.Regexp
	for _, n := range names {
		re, err := regexp.Compile(n)
		if err != nil {
			return nil, usagef("--regex %q: %w", n, err)
		}
		all = append(all, re)
	}
	found, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, sayKafka("look up topics", err, "")
	}
	topics := slices.DeleteFunc(found.Names(), func(name string) bool {
		return !slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(name) })
	})
	if len(topics) == 0 {
		return nil, notFoundError{fmt.Sprintf("no topic matches %s; 'varve topic list' shows what there is", strings.Join(names, ", "))}
	}
	return topics, nil
}

// compare notes where the offset that was asked for is outside of what there is.
func (p *readPlan) compare(at int64, b bounds) {
	p.all = true
	for _, o := range p.begin.Sorted() {
		start, _ := b.start.Lookup(o.Topic, o.Partition)
		end, _ := b.end.Lookup(o.Topic, o.Partition)
		if how := outside(at, start.Offset, end.Offset); how != "" {
			p.outside = append(p.outside, fmt.Sprintf("partition %d of %s: offset %s", o.Partition, o.Topic, how))
		}
		p.all = p.all && at > end.Offset
	}
}

// beyond reports that an offset is not there; where that is so everywhere there is nothing
// to read.
func (p *readPlan) beyond(stderr io.Writer, follow bool) error {
	list := p.outside
	if len(list) > 5 {
		list = append(slices.Clone(list[:5]), fmt.Sprintf("and %d more", len(list)-5))
	}
	if p.all && len(list) > 0 && !follow {
		return fmt.Errorf("there is no such offset: %s", strings.Join(list, "; "))
	}
	for _, text := range list {
		fmt.Fprintln(stderr, text)
	}
	return nil
}

func (p *readPlan) only(partitions []int32) error {
	if len(partitions) == 0 {
		return nil
	}
	wanted := map[int32]bool{}
	for _, n := range partitions {
		wanted[n] = true
	}
	for _, n := range partitions {
		for t, has := range p.end {
			if _, ok := has[n]; !ok {
				return notFoundError{fmt.Sprintf("topic %s has no partition %d", t, n)}
			}
		}
	}
	keep := func(o kadm.Offset) bool { return wanted[o.Partition] }
	p.begin.KeepFunc(keep)
	p.end.KeepFunc(keep)
	return nil
}
