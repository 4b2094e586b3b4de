// Package memshare divides a process's memory among its pools: pure arithmetic.
package memshare

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Pool is a part of the memory, and the setting that bounds it.
type Pool struct {
	Name    string  // of the pool
	Setting string  // that bounds it, "" if none does
	Given   int64   // its value, if someone chose one; else 0
	Floor   int64   // the least value that works
	Most    int64   // the largest value that is of use; 0: it takes what the others leave
	Share   float64 // of the whole, what its value times Cost gets between these
	Cost    float64 // bytes of memory for one of the setting's value
	Heap    bool    // its memory is in the Go heap
	Step    int64   // the value is a multiple of this
}

// Part is what a pool got.
type Part struct {
	Pool
	Value int64 // of the setting
	Bytes int64 // of memory
}

// bytes returns what a value takes; mostBytes if it is more, so that sums don't overflow.
func (p *Pool) bytes(value int64) int64 {
	return int64(min(math.Ceil(float64(value)*p.Cost), mostBytes))
}

const mostBytes = 1 << 56

// within returns the largest value that so many bytes suffice for, but at least the floor.
func (p *Pool) within(bytes int64) int64 {
	value := int64(float64(bytes) / p.Cost)
	for value > p.Floor && p.bytes(value) > bytes {
		value--
	}
	if p.Most > 0 {
		value = min(value, p.Most)
	}
	if p.Step > 1 {
		value -= value % p.Step
	}
	return max(p.Floor, value)
}

// Divide divides total bytes. Values that were given stay as they are. Every other pool gets
// its share of the whole, between its floor and its most; where that is too much together,
// what is above the floors is cut by the same factor. The one pool without a most gets what is
// left. The parts never exceed the total: if given values and floors do, that is an error.
func Divide(total int64, pools []Pool) ([]Part, error) {
	parts := make([]Part, len(pools))
	var fixed, above int64 // given values and floors; what shares need beyond
	for i, p := range pools {
		parts[i].Pool = p
		value := p.Floor
		if p.Given > 0 {
			value = p.Given
		}
		parts[i].set(value)
		fixed += parts[i].Bytes
		if p.Given == 0 && p.Most > 0 {
			above += max(0, p.bytes(p.wanted(total))-parts[i].Bytes)
		}
	}
	if fixed > total {
		return nil, tooLittle(total, fixed, parts)
	}
	cut := 1.0
	if above > 0 {
		cut = min(1, float64(total-fixed)/float64(above))
	}
	left, rest := total-fixed, -1
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Given > 0:
		case p.Most == 0:
			rest = i
		default:
			least := p.Bytes
			p.set(p.within(least + int64(float64(p.bytes(p.wanted(total))-least)*cut)))
			left -= p.Bytes - least
		}
	}
	if rest >= 0 {
		p := &parts[rest]
		p.set(p.within(p.Bytes + left))
	}
	return parts, nil
}

// set sets the value and the bytes.
func (p *Part) set(value int64) { p.Value, p.Bytes = value, p.bytes(value) }

// wanted is the value that a pool's share of the whole makes.
func (p *Pool) wanted(total int64) int64 {
	return max(p.Floor, min(p.Most, int64(p.Share*float64(total)/p.Cost)))
}

// tooLittle names the settings that ask for more than there is.
func tooLittle(total, fixed int64, parts []Part) error {
	var given []string
	var least int64
	for i := range parts {
		p := &parts[i]
		if p.Given == 0 {
			least += p.Bytes
		} else if p.Bytes == p.Value {
			given = append(given, fmt.Sprintf("%s (%s)", p.Setting, Text(p.Bytes)))
		} else {
			given = append(given, fmt.Sprintf("%s (%s, for which %s are needed)", p.Setting, valueText(p.Setting, p.Value), Text(p.Bytes)))
		}
	}
	if len(given) == 0 {
		return fmt.Errorf("memory is %s: must be at least %s", Text(total), Text(least))
	}
	return fmt.Errorf("memory is %s, but %s and the least that all else works with (%s) are %s together: give more memory, or less to these settings",
		Text(total), strings.Join(given, ", "), Text(least), Text(fixed))
}

func valueText(setting string, value int64) string {
	if strings.HasSuffix(setting, "_bytes") {
		return Text(value)
	}
	return strconv.FormatInt(value, 10)
}

// Text writes a size for people, rounded up to a whole unit that shows it well.
func Text(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Amount is how much memory a process may use: bytes, or a part of what there is, up to a
// number of bytes.
type Amount struct {
	Bytes   int64   // 0: Percent does
	Percent float64 // of what there is
	UpTo    int64   // 0: no bound
}

// Of returns the amount where there is so much.
func (a Amount) Of(size int64) int64 {
	if a.Bytes > 0 {
		return a.Bytes
	}
	n := int64(a.Percent / 100 * float64(size))
	if a.UpTo > 0 {
		n = min(n, a.UpTo)
	}
	return n
}

// Parse reads an amount: "2GiB", "25%", or "12.5% up to 2GiB". size reads a number of bytes.
func Parse(text string, size func(string) (int64, error)) (a Amount, err error) {
	wrong := fmt.Errorf("memory is %q: must be a size such as 2GiB, a percentage such as 25%%, or both, as in 25%% up to 2GiB", text)
	percent, upTo, both := strings.Cut(strings.TrimSpace(text), " up to ")
	number, relative := strings.CutSuffix(strings.TrimSpace(percent), "%")
	switch {
	case relative:
		a.Percent, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err == nil && both {
			if a.UpTo, err = size(upTo); a.UpTo <= 0 {
				return a, wrong
			}
		}
		if err != nil || !(a.Percent > 0 && a.Percent <= 100) {
			return a, wrong
		}
		return a, nil
	case both:
		return a, wrong
	}
	if a.Bytes, err = size(percent); err != nil || a.Bytes <= 0 {
		return a, wrong
	}
	return a, nil
}
