package dedupe

import (
	"errors"
	"fmt"
	"testing"
)

type stateError string

func (e stateError) Error() string    { return "ERROR: something (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return "sqlite says" }
func (e codeError) Code() int     { return int(e) }

// Inside the package, since what tells errors apart is not exported. The
// drivers' own errors are met in crosstest.
func TestErrorsOfDrivers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dialect                Dialect
		err                    error
		lockTimeout, transient bool
	}{
		{PostgreSQL, stateError("55P03"), true, false},
		{PostgreSQL, fmt.Errorf("wrapped: %w", stateError("55P03")), true, false},
		{PostgreSQL, stateError("40001"), false, true},
		{PostgreSQL, stateError("40P01"), false, true},
		{PostgreSQL, stateError("23505"), false, false},
		{PostgreSQL, stateError("57014"), false, false},
		{PostgreSQL, errors.New("55P03"), false, false},
		{MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), true, false},
		{MySQL, errors.New("Error 1205: Lock wait timeout exceeded"), true, false},
		{MySQL, fmt.Errorf("wrapped: %w", errors.New("Error 1205 (HY000): x")), true, false},
		{MySQL, errors.New("Error 1213 (40001): Deadlock found"), false, true},
		{MySQL, errors.New("Error 1020 (HY000): Record has changed since last read"), false, true},
		{MySQL, errors.New("Error 12050 (HY000): x"), false, false},
		{MySQL, errors.New("Error 1062 (23000): Duplicate entry 'Error 1205: x'"), false, false},
		{MySQL, errors.New("Error 1146 (42S02): Table doesn't exist"), false, false},
		{SQLite, codeError(5), true, false},
		{SQLite, codeError(6), true, false},
		{SQLite, codeError(517), true, false}, // SQLITE_BUSY_SNAPSHOT
		{SQLite, codeError(262), true, false}, // SQLITE_LOCKED_SHAREDCACHE
		{SQLite, codeError(8), false, false},
		{SQLite, codeError(11), false, false},
		{SQLite, errors.New("database is locked"), true, false},
		{SQLite, errors.New("database disk image is malformed"), false, false},
		{PostgreSQL, nil, false, false},
		{MySQL, nil, false, false},
		{SQLite, nil, false, false},
	} {
		if got := test.dialect.lockTimeout(test.err); got != test.lockTimeout {
			t.Errorf("%v: %v: lock time-out: %t", test.dialect, test.err, got)
		}
		if got := test.dialect.transient(test.err); got != test.transient {
			t.Errorf("%v: %v: transient: %t", test.dialect, test.err, got)
		}
	}
}
