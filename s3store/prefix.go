package s3store

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// prefixed shows the part of a store whose keys begin with a prefix.
type prefixed struct {
	inner  Store
	prefix string // "" or ending in "/"
}

// WithPrefix puts a prefix before every key, and a slash after the prefix if
// it has none. It is ErrInvalid if no key can begin so or it is longer than
// MaxPrefixBytes. An empty prefix returns the store itself.
func WithPrefix(inner Store, prefix string) (Store, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix == "" {
		return inner, nil
	}
	if problem := keyProblem(prefix); problem != "" || len(prefix) >= MaxPrefixBytes {
		return nil, fmt.Errorf("prefix %q: %w: at most %d bytes of a key", shorten(prefix), ErrInvalid, MaxPrefixBytes-1)
	}
	return &prefixed{inner, prefix + "/"}, nil
}

func (p *prefixed) Put(ctx context.Context, key string, body Body) error {
	if err := checkKey(OpPut, key); err != nil {
		return err
	}
	return p.inner.Put(ctx, p.prefix+key, body)
}

func (p *prefixed) PutIfAbsent(ctx context.Context, key string, body Body) error {
	if err := checkKey(OpPutIfAbsent, key); err != nil {
		return err
	}
	return p.inner.PutIfAbsent(ctx, p.prefix+key, body)
}

func (p *prefixed) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	if err := checkKey(OpGet, key); err != nil {
		return nil, err
	}
	return p.inner.Get(ctx, p.prefix+key, off, length)
}

func (p *prefixed) Head(ctx context.Context, key string) (Object, error) {
	if err := checkKey(OpHead, key); err != nil {
		return Object{}, err
	}
	object, err := p.inner.Head(ctx, p.prefix+key)
	object.Key = strings.TrimPrefix(object.Key, p.prefix)
	return object, err
}

func (p *prefixed) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	if err := checkListPrefix(prefix); err != nil {
		return err
	}
	if after != "" {
		after = p.prefix + after
	}
	return p.inner.List(ctx, p.prefix+prefix, after, func(object Object) bool {
		object.Key = strings.TrimPrefix(object.Key, p.prefix)
		return each(object)
	})
}

func (p *prefixed) Delete(ctx context.Context, keys []string) error {
	if err := checkKeys(OpDelete, keys); err != nil {
		return err
	}
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = p.prefix + key
	}
	return p.inner.Delete(ctx, full)
}

func (p *prefixed) Capabilities() Capabilities { return p.inner.Capabilities() }
func (p *prefixed) Close() error               { return p.inner.Close() }
