package journal_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"regexp"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/journal"
	"github.com/ottpaykit/ottpay/middleware"
)

// A journal goes into the webhook's configuration; its table into the
// migrations, if Migrate is not to make it.
func Example() {
	db := new(sql.DB) // opened with any driver; NewSQL does not use it
	kept, err := journal.NewSQL(db, journal.SQLConfig{Dialect: dedupe.PostgreSQL, Table: "shop.deliveries"})
	if err != nil {
		log.Fatal(err)
	}
	cfg := middleware.Config{Journal: kept}

	fmt.Println(cfg.Journal == kept)
	fmt.Println(regexp.MustCompile("CREATE.*").FindString(kept.Schema()))
	// Output:
	// true
	// CREATE TABLE IF NOT EXISTS "shop"."deliveries" (
}

// The deliveries of a day are handled again by a repair, each payment once.
func ExampleSQL_All() {
	var kept *journal.SQL
	var webhook *middleware.Webhook
	ctx := context.Background()
	repair := func(context.Context, *api.Notification) error { return nil }

	day := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for entry, err := range kept.All(ctx, day, day.AddDate(0, 0, 1)) {
		if err != nil {
			return // the rest of the day is still to be done; run it again
		}
		result, err := webhook.Replay(ctx, "2026-07 invoices", entry.Body, repair)
		fmt.Println(entry.ID, result, err)
	}
}
