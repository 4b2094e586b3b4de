package schema

import (
	"math"
	"testing"

	"varve/auth/quota"
	"varve/internal/workbound"
)

var (
	sampleEntity = quota.Entity{User: quota.Named("a/b ü"), ClientID: quota.Default()}
	sampleQuotas = quota.Values{quota.ProducerByteRate: 1 << 20, quota.RequestPercentage: 12.5}
)

// A key has one entity and an entity one key; a key that isn't of that form has none.
func TestQuotaKeys(t *testing.T) {
	for _, e := range []quota.Entity{sampleEntity, {User: quota.Default()}, {ClientID: quota.Named("c")}, {User: quota.Default(), ClientID: quota.Default()}, {IP: quota.Default()}, {IP: quota.Named("::1")}} {
		if got, err := ParseQuotaKey(QuotaKey(e)); err != nil || got != e {
			t.Errorf("%s is %+v, %v", QuotaKey(e), got, err)
		}
	}
	for _, key := range []string{"quotas/", "quotas/user", "quotas/user/a/", "quotas/client-id/c/user/a", "quotas/user/a/user/b", "quotas/topic/t", "quotas/user/a%2f", "quotas/user/%zz",
		"quotas/ip/10.0.0.1/user/a", "quotas/user/a/ip/10.0.0.1", "quotas/ip/010.0.0.1", "quotas/ip/::ffff:10.0.0.1"} {
		if e, err := ParseQuotaKey(key); err == nil {
			t.Errorf("%s is %+v", key, e)
		}
	}
}

// Values that no quota has are refused.
func TestQuotaValuesThatAreNone(t *testing.T) {
	with := func(k uint8, bits uint64) []byte {
		v := quota.Values{quota.ProducerByteRate: math.Float64frombits(bits)}
		b := EncodeQuotas(v)
		b[2] = k
		return b
	}
	for _, b := range [][]byte{{1, 0}, with(0, 1), with(6, 1), with(1, math.Float64bits(-1)), with(1, math.Float64bits(math.NaN()))} {
		if v, err := DecodeQuotas(b); err == nil {
			t.Errorf("%x is %v", b, v)
		}
	}
}

func FuzzQuotaKey(f *testing.F) {
	f.Add(QuotaKey(sampleEntity))
	f.Add("quotas/ip/::1")
	f.Fuzz(func(t *testing.T, key string) {
		var e quota.Entity
		var err error
		workbound.Check(t, len(key), func() { e, err = ParseQuotaKey(key) })
		if err == nil && QuotaKey(e) != key {
			t.Fatalf("%q is of %+v, whose key is %q", key, e, QuotaKey(e))
		}
	})
}
