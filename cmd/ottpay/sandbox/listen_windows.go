package sandbox

import (
	"errors"
	"syscall"
)

// wsaEAddrInUse and wsaEAccess are Winsock's numbers.
const (
	wsaEAddrInUse = syscall.Errno(10048)
	wsaEAccess    = syscall.Errno(10013)
)

func inUse(err error) bool { return errors.Is(err, wsaEAddrInUse) }

func denied(err error) bool { return errors.Is(err, wsaEAccess) }
