package ottpaytest

import (
	"os"
	"syscall"
	"unsafe"
)

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

// lockFile locks a file until it is closed, or fails at once. The locked byte is
// far behind the end, so that others can still read who writes.
func lockFile(f *os.File) error {
	const exclusiveNow = 2 | 1
	overlapped := syscall.Overlapped{Offset: 1<<31 - 1, OffsetHigh: 1<<31 - 1}
	ok, _, err := lockFileEx.Call(f.Fd(), exclusiveNow, 0, 1, 0, uintptr(unsafe.Pointer(&overlapped)))
	if ok == 0 {
		return err
	}
	return nil
}
