package s3store

import (
	"fmt"
	"strings"
)

// Limits of keys, in bytes. S3 ends at 1024; the rest is left for tools that
// copy a bucket below a prefix of their own.
const (
	// MaxKeyBytes is the longest key that every store takes.
	MaxKeyBytes = 800
	// MaxPrefixBytes is the longest prefix of WithPrefix, with its slash.
	MaxPrefixBytes = 100
	// MaxSegmentBytes is the longest segment between slashes. Stores that keep
	// objects as files, MinIO too, end at 255.
	MaxSegmentBytes = 200
	// maxStoredKey is the longest key that a driver takes: prefix and key.
	maxStoredKey = MaxKeyBytes + MaxPrefixBytes
)

// checkKey refuses, as ErrInvalid, what the interface forbids.
func checkKey(op Op, key string) error {
	if problem := keyProblem(key); problem != "" {
		return fmt.Errorf("%s %q: %w: %s", op, shorten(key), ErrInvalid, problem)
	}
	return nil
}

// checkKeys checks all keys of a batch before any is touched.
func checkKeys(op Op, keys []string) error {
	for _, key := range keys {
		if err := checkKey(op, key); err != nil {
			return err
		}
	}
	return nil
}

// checkListPrefix refuses a prefix that no key can have. Its last segment may
// be any beginning of one.
func checkListPrefix(prefix string) error {
	directory, last := "", prefix
	if slash := strings.LastIndexByte(prefix, '/'); slash >= 0 {
		directory, last = prefix[:slash], prefix[slash+1:]
		if err := checkKey(OpList, directory); err != nil {
			return err
		}
	}
	if len(prefix) > maxStoredKey || !onlyKeyBytes(last) {
		return fmt.Errorf("%s %q: %w: no key begins so", OpList, shorten(prefix), ErrInvalid)
	}
	return nil
}

// checkRange refuses ranges that S3 can't express.
func checkRange(key string, off, length int64) error {
	if off < 0 || length == 0 {
		return fmt.Errorf("%s %q: %w: offset %d, length %d", OpGet, key, ErrInvalid, off, length)
	}
	return nil
}

func keyProblem(key string) string {
	if len(key) == 0 || len(key) > maxStoredKey {
		return fmt.Sprintf("a key has 1 to %d bytes, this one %d", maxStoredKey, len(key))
	}
	if !onlyKeyBytes(key) {
		return "a key consists of letters, digits and / . _ = -"
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > MaxSegmentBytes {
			return fmt.Sprintf("a segment of a key has at most %d bytes, one has %d", MaxSegmentBytes, len(segment))
		}
		if segment == "" || segment == "." || segment == ".." {
			return "a key has no empty, \".\" or \"..\" segments"
		}
	}
	return ""
}

func onlyKeyBytes(text string) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '/', c == '.', c == '_', c == '=', c == '-':
		default:
			return false
		}
	}
	return true
}

// shorten keeps hostile keys from filling the log.
func shorten(key string) string {
	if len(key) > 100 {
		return key[:100] + "..."
	}
	return key
}
