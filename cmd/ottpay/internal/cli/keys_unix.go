//go:build !windows

package cli

import "io/fs"

// othersRead reports whether a file's mode lets other users read it.
func othersRead(mode fs.FileMode) bool { return mode&0o044 != 0 }
