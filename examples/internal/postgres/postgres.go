// Package postgres gives an example a schema of its own on a PostgreSQL server,
// so that nothing remains of a run. A shop has its database and needs none of it.
package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Address is the data source name of the server: the environment's, or that of
// a server on its usual port.
func Address() string {
	return cmp.Or(os.Getenv("OTTPAY_TEST_POSTGRES"), "postgres://postgres@127.0.0.1:5432/test?sslmode=disable")
}

// Ping reports why no server answers, or nil.
func Ping(ctx context.Context, dsn string) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*cfg)
	return errors.Join(ping(ctx, db), db.Close())
}

func ping(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("no PostgreSQL server answers: %w; start one, or set OTTPAY_TEST_POSTGRES", err)
	}
	return nil
}

// Schema returns a pool of at most so many connections on a new schema, after it
// has executed the statements there, and a function that drops the schema and
// closes the pool.
func Schema(ctx context.Context, dsn string, connections int, statements ...string) (_ *sql.DB, drop func() error, err error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, err
	}
	schema := "ottpay_example_" + strings.ToLower(rand.Text()[:12])
	cfg.RuntimeParams["search_path"] = schema
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(connections)
	if err := ping(ctx, db); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	drop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+schema+` CASCADE`)
		return errors.Join(err, db.Close())
	}
	for _, statement := range append([]string{`CREATE SCHEMA ` + schema}, statements...) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, nil, errors.Join(err, drop())
		}
	}
	return db, drop, nil
}
