package dedupe_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
)

var dialects = []dedupe.Dialect{dedupe.PostgreSQL, dedupe.MySQL, dedupe.SQLite}

func TestNewSQLChecksItsConfig(t *testing.T) {
	t.Parallel()
	db := new(sql.DB)
	for _, d := range dialects {
		if _, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: d}); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	for name, cfg := range map[string]dedupe.SQLConfig{
		"no dialect":        {},
		"unknown dialect":   {Dialect: 4},
		"unknown mode":      {Dialect: dedupe.MySQL, Mode: 2},
		"negative mode":     {Dialect: dedupe.MySQL, Mode: -1},
		"injection":         {Dialect: dedupe.MySQL, Table: "t; DROP TABLE x"},
		"quote":             {Dialect: dedupe.PostgreSQL, Table: `a"b`},
		"backtick":          {Dialect: dedupe.MySQL, Table: "a`b"},
		"question mark":     {Dialect: dedupe.PostgreSQL, Table: "a?b"},
		"digit first":       {Dialect: dedupe.SQLite, Table: "1a"},
		"two dots":          {Dialect: dedupe.SQLite, Table: "a.b.c"},
		"empty schema":      {Dialect: dedupe.SQLite, Table: ".a"},
		"too long":          {Dialect: dedupe.SQLite, Table: strings.Repeat("a", 64)},
		"line end":          {Dialect: dedupe.SQLite, Table: "a\n"},
		"letters elsewhere": {Dialect: dedupe.SQLite, Table: "ä"},
	} {
		if _, err := dedupe.NewSQL(db, cfg); err == nil {
			t.Errorf("%s: NewSQL succeeded", name)
		}
	}
	if _, err := dedupe.NewSQL(nil, dedupe.SQLConfig{Dialect: dedupe.MySQL}); err == nil {
		t.Error("NewSQL succeeded without a database")
	}
}

// The shipped file is what Migrate runs, but for the table's name.
func TestSQLSchemaIsTheFile(t *testing.T) {
	t.Parallel()
	for d, file := range map[dedupe.Dialect]string{
		dedupe.PostgreSQL: "postgresql.sql", dedupe.MySQL: "mysql.sql", dedupe.SQLite: "sqlite.sql",
	} {
		text, err := os.ReadFile(filepath.Join("schema", file))
		if err != nil {
			t.Fatal(err)
		}
		store, err := dedupe.NewSQL(new(sql.DB), dedupe.SQLConfig{Dialect: d, Table: "shop.claims"})
		if err != nil {
			t.Fatal(err)
		}
		quoted := `"shop"."claims"`
		if d == dedupe.MySQL {
			quoted = "`shop`.`claims`"
		}
		if !strings.Contains(store.Schema(), "CREATE TABLE IF NOT EXISTS "+quoted+" (") {
			t.Errorf("%v: no statement for %s:\n%s", d, quoted, store.Schema())
		}
		back := strings.ReplaceAll(store.Schema(), quoted, "ottpay_dedupe")
		if back != string(text) {
			t.Errorf("%v: the schema is not that of %s", d, file)
		}
	}
}

func TestTxFromContextWithoutOne(t *testing.T) {
	t.Parallel()
	if tx, ok := dedupe.TxFromContext(t.Context()); ok || tx != nil {
		t.Error("a transaction from nowhere")
	}
}

// A handler in transactional mode writes through the claim's transaction.
func ExampleSQL_transactional() {
	var db *sql.DB // opened with any driver
	store, err := dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: dedupe.PostgreSQL, Mode: dedupe.Transactional})
	if err != nil {
		return
	}

	handle := func(ctx context.Context, order string) error {
		tx, ok := dedupe.TxFromContext(ctx)
		if !ok {
			return errors.New("not under a claim")
		}
		_, err := tx.ExecContext(ctx, "UPDATE orders SET paid = true WHERE id = $1", order)
		return err
	}

	// What the webhook does with both:
	ctx := context.Background()
	claim, err := store.Claim(ctx, dedupe.Identify("TS00000001", "A-1", "paid"), 30*time.Second)
	if err != nil {
		return
	}
	if holder, ok := claim.(dedupe.Contexter); ok {
		ctx = holder.Context(ctx)
	}
	if err := handle(ctx, "A-1"); err != nil {
		claim.Release(ctx) // rolls back
		return
	}
	if err := claim.Confirm(ctx); err != nil { // commits the claim and the update
		return // not acknowledged: it comes again
	}
}
