package schema

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"varve/auth/quota"
	"varve/internal/wire"
)

// EncodeQuotas writes an entity's quotas: their number, and of each its key and the bits of its
// value, by key.
func EncodeQuotas(v quota.Values) []byte {
	b := []byte{1, 0}
	for k, value := range v {
		if value == 0 {
			continue
		}
		b[1]++
		b = append(b, uint8(k))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(value))
	}
	return b
}

// DecodeQuotas reads what EncodeQuotas writes.
func DecodeQuotas(b []byte) (v quota.Values, err error) {
	wrong := false
	err = decode("quotas", 1, b, func(r *wire.Reader) {
		last := uint8(0)
		for n := r.U8(); n > 0 && r.Err() == nil; n-- {
			k, value := r.U8(), math.Float64frombits(r.U64())
			if k <= last || int(k) >= len(v) || !(value > 0) {
				wrong = true
				return
			}
			last, v[k] = k, value
		}
	})
	switch {
	case wrong:
		err = &ValueError{"quotas", errors.New("a key or a value is not as expected")}
	case err == nil && v == quota.Values{}:
		err = &ValueError{"quotas", errors.New("there are none")}
	}
	if err != nil {
		return quota.Values{}, err
	}
	return v, nil
}

// QuotaKey is the key of an entity's quotas: its parts, each with its name, which is empty for
// the default.
func QuotaKey(e quota.Entity) string {
	var parts []string
	for _, of := range quota.Types() {
		if p := e.Part(of); p.There {
			parts = append(parts, string(of), escape(p.Name))
		}
	}
	return PrefixQuotas + strings.Join(parts, "/")
}

// ParseQuotaKey takes a QuotaKey apart. An entity that isn't valid has no key.
func ParseQuotaKey(key string) (e quota.Entity, err error) {
	rest := strings.TrimPrefix(key, PrefixQuotas)
	for more := true; more; {
		var of, name string
		of, rest, _ = strings.Cut(rest, "/")
		name, rest, more = strings.Cut(rest, "/")
		p := e.Part(quota.Type(of))
		if p == nil {
			return quota.Entity{}, &KeyError{key}
		}
		if name, err = unescape(name, ""); err != nil {
			return quota.Entity{}, &KeyError{key}
		}
		*p = quota.Named(name)
	}
	if e.Validate() != nil || QuotaKey(e) != key {
		return quota.Entity{}, &KeyError{key}
	}
	return e, nil
}
