package vfs

import "io/fs"

// Permissions returns who may do what with a file. ok is false if the file system has no
// permissions, as one in memory.
func Permissions(fsys FS, name string) (mode fs.FileMode, ok bool, err error) {
	p, ok := fsys.(interface {
		permissions(name string) (fs.FileMode, bool, error)
	})
	if !ok {
		return 0, false, nil
	}
	return p.permissions(name)
}
