// Package sqldb is what the stores of this module have in common that keep a
// table in a PostgreSQL, MariaDB, MySQL or SQLite database: how a dialect quotes
// and binds, how the table is created, probed and pruned, how long a statement
// may take, and when a commit is durable. It imports no driver.
package sqldb

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Dialect is a kind of database. The zero Dialect is none.
type Dialect int

// The dialects. Package dedupe exports them under the same numbers.
const (
	PostgreSQL Dialect = iota + 1
	MySQL              // MariaDB as well
	SQLite
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case MySQL:
		return "MySQL"
	case SQLite:
		return "SQLite"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$`)

// Quote returns the name of a table, with or without a schema in front, as the
// dialect quotes it. The name keeps its letter case.
func (d Dialect) Quote(table string) (string, error) {
	if !tableName.MatchString(table) {
		return "", fmt.Errorf("%q cannot be the name of a table", table)
	}
	quote := `"`
	switch d {
	case PostgreSQL, SQLite:
	case MySQL:
		quote = "`"
	default:
		return "", fmt.Errorf("unknown dialect %d", int(d))
	}
	return quote + strings.ReplaceAll(table, ".", quote+"."+quote) + quote, nil
}

// now returns the expression for the database's clock: an integer, microseconds
// since 1970, independent of the session's time zone.
func (d Dialect) now() string {
	switch d {
	case PostgreSQL:
		// Not now(), which is the time at which the transaction began.
		return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	case MySQL:
		// Not UNIX_TIMESTAMP(), which goes through local time and its double hour.
		return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
	default:
		return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
	}
}

// durable returns a condition that is always true and that makes the commit of
// the transaction that evaluates it durable, whatever the session's settings
// are. It must stand where the statement evaluates it at least once.
//
// PostgreSQL acknowledges a commit before it is on disk if synchronous_commit is
// off. Here it is set for the one transaction. MySQL has a server-wide setting
// only, and SQLite a setting of the connection: see [Session.Durable].
func (d Dialect) durable() string {
	if d == PostgreSQL {
		return `(SELECT set_config('synchronous_commit', CASE now WHEN 'off' THEN 'on' ELSE now END, true) IS NOT NULL
			FROM current_setting('synchronous_commit') AS now)`
	}
	return "1 = 1"
}

// Young is the age up to which a row that is seen on MySQL may not be on disk
// yet. InnoDB shows a commit to other sessions before its redo log is synced.
// What is said to be kept because of such a row would be lost if the server died.
// A commit of our own comes later in the log, so that its success proves that
// the row is on disk, too. It must change something, or it writes no log.
//
// The age is far longer than the time for which a server waits for its disk.
const Young = 10 * time.Minute

// Bind returns the query with each ? replaced by the dialect's placeholder. The
// query must hold no other question marks.
func (d Dialect) Bind(query string) string {
	if d != PostgreSQL {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// LockTimeout reports whether err says that a lock was not to be had in time.
func (d Dialect) LockTimeout(err error) bool {
	switch d {
	case PostgreSQL:
		return sqlState(err) == "55P03"
	case MySQL:
		return isMySQLError(err, "1205")
	default:
		return isSQLiteBusy(err)
	}
}

// Transient reports whether err ended the transaction only because of others
// that ran beside it, so that a repetition may succeed.
func (d Dialect) Transient(err error) bool {
	switch d {
	case PostgreSQL:
		state := sqlState(err)
		return state == "40001" || state == "40P01"
	case MySQL:
		// 1020: MariaDB with innodb_snapshot_isolation.
		return isMySQLError(err, "1213") || isMySQLError(err, "1020")
	default:
		return false
	}
}

// sqlState returns the SQLSTATE of err, as pgx and lib/pq provide it.
func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}

// isMySQLError reports whether err, or an error it wraps, is the server's error
// of this number. go-sql-driver keeps the number in a field of a type of its
// own. A package that imports no driver has only the text, such as "Error 1205
// (HY000): …".
func isMySQLError(err error, number string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		rest, ok := strings.CutPrefix(err.Error(), "Error "+number)
		if ok && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, " (")) {
			return true
		}
	}
	return false
}

// isSQLiteBusy reports whether err is SQLITE_BUSY or SQLITE_LOCKED, by the code
// of modernc.org/sqlite or, for drivers without one, by SQLite's own texts.
func isSQLiteBusy(err error) bool {
	if err == nil {
		return false
	}
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		code := coded.Code() & 0xff // the rest is detail
		return code == 5 || code == 6
	}
	text := err.Error()
	return strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked")
}
