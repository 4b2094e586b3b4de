package s3store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List walks only the folders that can hold a key asked for. It holds the names
// of one folder a level in memory, never all keys.
func (d *dir) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	if err := checkListPrefix(prefix); err != nil {
		return err
	}
	walk := dirWalk{ctx: ctx, prefix: prefix, after: after, each: each}
	if err := walk.folder(d.objects, ""); err != nil && !errors.Is(err, fs.SkipAll) {
		return fileError(OpList, prefix, err)
	}
	return nil
}

type dirWalk struct {
	ctx           context.Context
	prefix, after string
	each          func(Object) bool
}

// folder visits the entries of a folder in the order of their keys, which all
// begin with text. It returns fs.SkipAll when the caller has enough.
func (w *dirWalk) folder(path, text string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := w.entries(path, text)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := filepath.Join(path, e.name)
		if e.isObject {
			err = w.object(below, text+e.adds)
		} else {
			err = w.folder(below, text+e.adds)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries reads a folder; one that vanished had nothing in it any more.
func (w *dirWalk) entries(path, text string) ([]entry, error) {
	names, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, name := range names {
		if e, ok := parseEntry(name.Name(), name.IsDir()); ok && w.wanted(text+e.adds, e.isObject) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.adds, b.adds) })
	return entries, nil
}

// wanted tells whether a key, or some key that begins with text, is asked for.
func (w *dirWalk) wanted(text string, isObject bool) bool {
	if isObject {
		return strings.HasPrefix(text, w.prefix) && text > w.after
	}
	overlaps := strings.HasPrefix(text, w.prefix) || strings.HasPrefix(w.prefix, text)
	return overlaps && (text > w.after || strings.HasPrefix(w.after, text))
}

func (w *dirWalk) object(path, key string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if !w.each(Object{key, info.Size(), info.ModTime()}) {
		return fs.SkipAll
	}
	return nil
}
