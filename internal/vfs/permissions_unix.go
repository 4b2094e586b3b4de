//go:build unix

package vfs

import (
	"io/fs"
	"os"
)

func (OS) permissions(name string) (fs.FileMode, bool, error) {
	st, err := os.Stat(name)
	if err != nil {
		return 0, false, err
	}
	return st.Mode(), true, nil
}
