package sqldb_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/internal/sqldb"
)

type stateError string

func (e stateError) Error() string    { return "ERROR: something (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return "sqlite says" }
func (e codeError) Code() int     { return int(e) }

// The drivers' own errors are met in crosstest.
func TestErrorsOfDrivers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dialect                sqldb.Dialect
		err                    error
		lockTimeout, transient bool
	}{
		{sqldb.PostgreSQL, stateError("55P03"), true, false},
		{sqldb.PostgreSQL, fmt.Errorf("wrapped: %w", stateError("55P03")), true, false},
		{sqldb.PostgreSQL, stateError("40001"), false, true},
		{sqldb.PostgreSQL, stateError("40P01"), false, true},
		{sqldb.PostgreSQL, stateError("23505"), false, false},
		{sqldb.PostgreSQL, stateError("57014"), false, false},
		{sqldb.PostgreSQL, errors.New("55P03"), false, false},
		{sqldb.MySQL, errors.New("Error 1205 (HY000): Lock wait timeout exceeded"), true, false},
		{sqldb.MySQL, errors.New("Error 1205: Lock wait timeout exceeded"), true, false},
		{sqldb.MySQL, fmt.Errorf("wrapped: %w", errors.New("Error 1205 (HY000): x")), true, false},
		{sqldb.MySQL, errors.New("Error 1213 (40001): Deadlock found"), false, true},
		{sqldb.MySQL, errors.New("Error 1020 (HY000): Record has changed since last read"), false, true},
		{sqldb.MySQL, errors.New("Error 12050 (HY000): x"), false, false},
		{sqldb.MySQL, errors.New("Error 1062 (23000): Duplicate entry 'Error 1205: x'"), false, false},
		{sqldb.MySQL, errors.New("Error 1146 (42S02): Table doesn't exist"), false, false},
		{sqldb.SQLite, codeError(5), true, false},
		{sqldb.SQLite, codeError(6), true, false},
		{sqldb.SQLite, codeError(517), true, false}, // SQLITE_BUSY_SNAPSHOT
		{sqldb.SQLite, codeError(262), true, false}, // SQLITE_LOCKED_SHAREDCACHE
		{sqldb.SQLite, codeError(8), false, false},
		{sqldb.SQLite, codeError(11), false, false},
		{sqldb.SQLite, errors.New("database is locked"), true, false},
		{sqldb.SQLite, errors.New("database disk image is malformed"), false, false},
		{sqldb.PostgreSQL, nil, false, false},
		{sqldb.MySQL, nil, false, false},
		{sqldb.SQLite, nil, false, false},
	} {
		if got := test.dialect.LockTimeout(test.err); got != test.lockTimeout {
			t.Errorf("%v: %v: lock time-out: %t", test.dialect, test.err, got)
		}
		if got := test.dialect.Transient(test.err); got != test.transient {
			t.Errorf("%v: %v: transient: %t", test.dialect, test.err, got)
		}
	}
}

// Package dedupe exports the dialects under the same numbers.
func TestDialectsOfDedupe(t *testing.T) {
	t.Parallel()
	for inner, outer := range map[sqldb.Dialect]dedupe.Dialect{
		sqldb.PostgreSQL: dedupe.PostgreSQL, sqldb.MySQL: dedupe.MySQL, sqldb.SQLite: dedupe.SQLite, 0: 0, 4: 4,
	} {
		if sqldb.Dialect(outer) != inner || outer.String() != inner.String() {
			t.Errorf("%v is %v", inner, outer)
		}
	}
}

func TestDialectBind(t *testing.T) {
	t.Parallel()
	const query = "a = ? AND b = ? OR ?"
	if got, want := sqldb.PostgreSQL.Bind(query), "a = $1 AND b = $2 OR $3"; got != want {
		t.Errorf("PostgreSQL: %s, want %s", got, want)
	}
	for _, d := range []sqldb.Dialect{sqldb.MySQL, sqldb.SQLite} {
		if got := d.Bind(query); got != query {
			t.Errorf("%v: %s, want it unchanged", d, got)
		}
	}
}

func TestDialectQuote(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dialect   sqldb.Dialect
		name, out string
	}{
		{sqldb.PostgreSQL, "order", `"order"`},
		{sqldb.PostgreSQL, "shop.Dedupe", `"shop"."Dedupe"`},
		{sqldb.MySQL, "shop.order", "`shop`.`order`"},
		{sqldb.SQLite, "main._x9", `"main"."_x9"`},
	} {
		got, err := test.dialect.Quote(test.name)
		if err != nil || got != test.out {
			t.Errorf("%v: %s, %v; want %s", test.dialect, got, err, test.out)
		}
	}
}
