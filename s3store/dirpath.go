package s3store

import (
	"path/filepath"
	"strings"
)

// How keys become paths below <root>/objects: a folder keeps its name and an
// object gets an "@" after it, which is no key byte. So nothing collides, and
// "a" and "a/b" can both be objects.
//
//	key a/b/c  ->  a/b/c@
const objectMark = "@"

// pathOf returns the object's path relative to the folder of objects.
func pathOf(key string) string { return filepath.FromSlash(key) + objectMark }

// entry is what a name in a folder stands for.
type entry struct {
	name     string // in the file system
	adds     string // to the keys below; it decides their order, the name doesn't
	isObject bool
}

// parseEntry understands the names that pathOf makes; ok is false for foreign
// files.
func parseEntry(name string, isFolder bool) (e entry, ok bool) {
	if isFolder {
		return entry{name, name + "/", false}, onlyKeyBytes(name)
	}
	key, marked := strings.CutSuffix(name, objectMark)
	return entry{name, key, true}, marked && keyProblem(key) == ""
}
