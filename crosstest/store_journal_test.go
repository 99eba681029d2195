package crosstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/journal"
)

func (s server) journal(t *testing.T, db *sql.DB, cfg journal.SQLConfig) (j *journal.SQL, table string) {
	t.Helper()
	cfg.Dialect, cfg.Table = s.dialect, s.table(t, db, "journal")
	j, err := journal.NewSQL(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Ping(t.Context()); err == nil {
		t.Error("Ping succeeded without a table")
	}
	for range 2 {
		if err := j.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j, cfg.Table
}

func all(t *testing.T, j *journal.SQL, from, to time.Time) (entries []journal.Entry) {
	t.Helper()
	for e, err := range j.All(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestJournal(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			j, _ := server.journal(t, server.open(t), journal.SQLConfig{})
			everyByte := make([]byte, 256)
			for i := range everyByte {
				everyByte[i] = byte(i)
			}
			want := []journal.Entry{
				{MerchantID: "TS00000001", ID: newID(), Body: []byte(`{"rsp_code":"SUCCESS","data":"AAAA","md5":"00"}`)},
				{MerchantID: "ts00000001", ID: newID(), Body: everyByte},
				{MerchantID: "Mérchant '\"\\%?", ID: dedupe.ID{Key: newID().Key}, Body: bytes.Repeat([]byte("é\x00"), 1<<16)},
				{MerchantID: "", ID: dedupe.ID{}, Body: []byte{}},
			}
			// The same event with something else said about it is another content.
			other := want[0]
			other.MerchantID, other.ID.Mark[0] = "other mark", other.ID.Mark[0]^1
			want = append(want, other)
			before := time.Now().Add(-time.Minute)
			for i, e := range want {
				if err := j.Append(t.Context(), e.MerchantID, e.Body, e.ID); err != nil {
					t.Fatal(err)
				}
				// However often it comes, and however it is padded, it is kept once.
				for n := range 3 {
					padded := append(bytes.Repeat([]byte(" "), n), e.Body...)
					if err := j.Append(t.Context(), e.MerchantID, padded, e.ID); err != nil {
						t.Fatal(err)
					}
				}
				got := all(t, j, time.Time{}, time.Time{})
				if len(got) != i+1 {
					t.Fatalf("%d entries, want %d", len(got), i+1)
				}
			}
			got := all(t, j, time.Time{}, time.Time{})
			byMerchant := map[string]journal.Entry{}
			for i, e := range got {
				if e.Received.Before(before) || e.Received.After(time.Now().Add(time.Minute)) || e.Received.Location() != time.UTC {
					t.Errorf("received at %v", e.Received)
				}
				if i > 0 && e.Received.Before(got[i-1].Received) {
					t.Error("entries are out of order")
				}
				e.Received = time.Time{}
				byMerchant[e.MerchantID] = e
			}
			for _, e := range want {
				if diff := cmp.Diff(e, byMerchant[e.MerchantID], cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("entry (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestJournalRangesAndPages(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			db := server.open(t)
			j, table := server.journal(t, db, journal.SQLConfig{})
			// Three hundred in one microsecond, and one in each of some seconds around.
			instant := time.Date(2024, 11, 3, 5, 30, 0, 123456000, time.UTC) // a doubled hour somewhere
			insert := "INSERT INTO " + table + " (received_at, id, mark, merchant_id, body) VALUES "
			var rows []string
			add := func(at time.Time, i int) {
				literal := func(n int) string {
					if server.dialect == dedupe.PostgreSQL {
						return fmt.Sprintf("'\\x%064x'", n)
					}
					return fmt.Sprintf("x'%064x'", n)
				}
				// Ten marks for each id.
				rows = append(rows, fmt.Sprintf("(%d, %s, %s, 'M', %s)", at.UnixMicro(), literal(i/10*7919), literal(i%10), literal(i)))
			}
			for i := range 300 {
				add(instant, i)
			}
			for i := range 5 {
				add(instant.Add(time.Duration(i-2)*time.Second+1000), 1000+i)
			}
			server.exec(t, db, insert+strings.Join(rows, ", "))

			for _, test := range []struct {
				name     string
				from, to time.Time
				want     int
			}{
				{"all", time.Time{}, time.Time{}, 305},
				{"from is included", instant, time.Time{}, 303},
				{"to is excluded", time.Time{}, instant, 2},
				{"the instant", instant, instant.Add(time.Microsecond), 300},
				{"after", instant.Add(time.Microsecond), time.Time{}, 3},
				{"nothing", instant.Add(time.Hour), time.Time{}, 0},
				{"empty range", instant, instant, 0},
				{"another zone", instant.In(time.FixedZone("", -8*3600)), time.Time{}, 303},
			} {
				got := all(t, j, test.from, test.to)
				if len(got) != test.want {
					t.Errorf("%s: %d entries, want %d", test.name, len(got), test.want)
				}
				seen := map[string]bool{}
				for _, e := range got {
					seen[string(e.Body)] = true
				}
				if len(seen) != len(got) {
					t.Errorf("%s: %d different entries of %d", test.name, len(seen), len(got))
				}
			}

			n := 0
			for range j.All(t.Context(), time.Time{}, time.Time{}) {
				if n++; n == 150 {
					break
				}
			}
			if n != 150 {
				t.Errorf("the loop ran %d times after a break at 150", n)
			}

			// What is old goes, what is young stays.
			if err := j.Append(t.Context(), "M", []byte("young"), newID()); err != nil {
				t.Fatal(err)
			}
			if n, err := j.Prune(t.Context(), time.Hour); err != nil || n != 305 {
				t.Errorf("Prune: %d, %v; want 305", n, err)
			}
			if got := all(t, j, time.Time{}, time.Time{}); len(got) != 1 || string(got[0].Body) != "young" {
				t.Errorf("%d entries are left, want the young one", len(got))
			}
			if _, err := j.Prune(t.Context(), -1); err == nil {
				t.Error("Prune with a negative age succeeded")
			}
		})
	}
}

func TestJournalFailures(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			j, _ := server.journal(t, server.open(t), journal.SQLConfig{})
			if err := j.Append(t.Context(), strings.Repeat("M", 256), []byte("{}"), newID()); err == nil {
				t.Error("Append succeeded with a merchant's id that is too long")
			}
			if err := j.Append(t.Context(), "M", make([]byte, 1<<20+1), newID()); err == nil {
				t.Error("Append succeeded with a body that is too long")
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := j.Append(ctx, "M", []byte("{}"), newID()); err == nil {
				t.Error("Append succeeded under a cancelled context")
			}
			if got := all(t, j, time.Time{}, time.Time{}); len(got) != 0 {
				t.Errorf("%d entries after failures", len(got))
			}
			errs := 0
			for _, err := range j.All(ctx, time.Time{}, time.Time{}) {
				if err == nil {
					t.Fatal("an entry under a cancelled context")
				}
				errs++
			}
			if errs != 1 {
				t.Errorf("%d errors, want one", errs)
			}

			// A failed driver call must not tell what it was called with.
			secret := rand.Text()
			closed := server.openDSN(t, server.broken)
			broken, err := journal.NewSQL(closed, journal.SQLConfig{Dialect: server.dialect})
			if err != nil {
				t.Fatal(err)
			}
			err = broken.Append(t.Context(), "M", []byte(secret), newID())
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("Append to nowhere: %v", err)
			}
		})
	}
}

// An entry outlives the transaction of a handler that failed.
func TestJournalOutlivesRollback(t *testing.T) {
	t.Parallel()
	for _, server := range []server{postgres, mariadb} {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			j, _ := server.journal(t, server.open(t), journal.SQLConfig{})
			store := server.store(t, server.open(t), dedupe.SQLConfig{Mode: dedupe.Transactional})
			id := newID()
			c := mustClaim(t, store, id)
			if err := j.Append(c.(dedupe.Contexter).Context(t.Context()), "M", []byte("{}"), id); err != nil {
				t.Fatal(err)
			}
			if err := c.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := all(t, j, time.Time{}, time.Time{}); len(got) != 1 || got[0].ID != id {
				t.Errorf("%d entries, want the one of the failed handler", len(got))
			}
		})
	}
}
