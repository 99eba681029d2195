//go:build !linux

package private

import (
	"context"
	"errors"
	"time"
)

// ErrAbsent says that this is not Linux.
var ErrAbsent = errors.New("private servers need Linux")

// Server is a server process.
type Server struct{ Name, Addr, DSN string }

// Options are what the servers may differ in.
type Options struct {
	SlowSync time.Duration
	Args     []string
}

// PostgreSQL returns [ErrAbsent].
func PostgreSQL(context.Context, Options) (*Server, error) { return nil, ErrAbsent }

// MariaDB returns [ErrAbsent].
func MariaDB(context.Context, Options) (*Server, error) { return nil, ErrAbsent }

// Redis returns [ErrAbsent].
func Redis(context.Context, Options) (*Server, error) { return nil, ErrAbsent }

// Start returns [ErrAbsent].
func (*Server) Start(context.Context, func(context.Context) error) error { return ErrAbsent }

// Kill does nothing.
func (*Server) Kill() {}

// Close does nothing.
func (*Server) Close() error { return nil }

// Log returns "".
func (*Server) Log() string { return "" }
