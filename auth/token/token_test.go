package token

import (
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"varve/internal/vfs"
)

var secret = []byte("0123456789abcdef")

// The HMAC is Kafka's, so that what is known of it holds here as well.
func TestHMAC(t *testing.T) {
	i := NewIssuer([]byte("key"), DefaultConfig())
	want := "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a"
	if got := hex.EncodeToString(i.HMAC("The quick brown fox jumps over the lazy dog")); got != want {
		t.Errorf("HMAC %s", got)
	}
	if a, b := NewIssuer(secret, Config{}).SecretID(), i.SecretID(); a == b || a == (SecretID{}) {
		t.Errorf("secrets are told apart by %x and %x", a, b)
	}
}

// Times are Kafka's: each is bounded by the settings and by the token's own end, and no request
// overflows them.
func TestTimes(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	i := NewIssuer(secret, Config{MaxLifetime: 7 * time.Hour, Expiry: time.Hour})
	for name, x := range map[string]struct {
		life         int64
		expires, max time.Duration
	}{
		"settings'": {-1, time.Hour, 7 * time.Hour},
		"zero":      {0, time.Hour, 7 * time.Hour},
		"shorter":   {60_000, time.Minute, time.Minute},
		"longer":    {math.MaxInt64, time.Hour, 7 * time.Hour},
		"least":     {math.MinInt64, time.Hour, 7 * time.Hour},
	} {
		got := i.Begin(now, x.life)
		if want := (Times{now, now.Add(x.expires), now.Add(x.max)}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	made := i.Begin(now, -1)
	later := now.Add(30 * time.Minute)
	for period, want := range map[int64]time.Duration{-1: time.Hour, 0: time.Hour, 1000: time.Second, math.MaxInt64: time.Hour, math.MinInt64: time.Hour} {
		if got := i.Renew(made, later, period).Expires; !got.Equal(later.Add(want)) {
			t.Errorf("renewed for %d: %v", period, got)
		}
	}
	if got := i.Renew(made, now.Add(6*time.Hour+30*time.Minute), -1).Expires; !got.Equal(made.Max) {
		t.Errorf("renewed beyond its end: %v", got)
	}
	for period, want := range map[int64]time.Time{0: later, 5: later.Add(5 * time.Millisecond), math.MaxInt64: made.Max} {
		if got := made.Expire(later, period).Expires; !got.Equal(want) {
			t.Errorf("expires in %d: %v, want %v", period, got, want)
		}
	}
	if made.Over(made.Expires) || !made.Over(made.Expires.Add(time.Millisecond)) {
		t.Error("it isn't over a millisecond after it expires")
	}
	forever := NewIssuer(secret, Config{MaxLifetime: math.MaxInt64, Expiry: math.MaxInt64}).Begin(now, math.MaxInt64)
	if forever.Max.Before(now) || forever.Expire(now, math.MaxInt64).Expires.Before(now) {
		t.Errorf("the longest: %v", forever)
	}
}

// A secret that others can read, or that is easily guessed, is refused; no error shows it.
func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"good": "0123456789abcdef\r\n", "short": "hunter2", "empty": "", "public": "0123456789abcdef\n", "lines": "0123456789abcdef\nhunter2hunter2hunter2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "public"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"good": "", "short": "short: the secret has 7 bytes", "empty": "empty is empty", "missing": "secret_file: ", "lines": "lines: the secret must be one line", "public": "others can read"} {
		i, err := Open(Config{SecretFile: filepath.Join(dir, name)}, vfs.OS{})
		switch {
		case want == "" && (err != nil || string(i.secret) != "0123456789abcdef"):
			t.Errorf("%s: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v", name, err)
		}
	}
	if i, err := Open(Config{}, vfs.OS{}); i != nil || err != nil {
		t.Errorf("without a file: %v, %v", i, err)
	}
}

func TestIDs(t *testing.T) {
	for range 1000 {
		if id := NewID(nil); len(id) != 22 || id[0] == '-' {
			t.Fatal(id)
		}
	}
}
