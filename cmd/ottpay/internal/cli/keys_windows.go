package cli

import "io/fs"

// othersRead is false: the mode bits of Windows do not tell who may read.
func othersRead(fs.FileMode) bool { return false }
