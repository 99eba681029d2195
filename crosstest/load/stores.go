package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/crosstest/private"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/sqldb"
	"github.com/ottpaykit/ottpay/middleware"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433"
)

// kind is a store to measure.
type kind struct {
	name, title string
	dialect     dedupe.Dialect // 0 for Redis
	driver      string
	start       func(context.Context, private.Options) (*private.Server, error)
}

var kinds = []kind{
	{"postgres", "PostgreSQL, transactional", dedupe.PostgreSQL, "pgx", private.PostgreSQL},
	{"mariadb", "MariaDB, transactional", dedupe.MySQL, "mysql", private.MariaDB},
	{"sqlite", "SQLite, transactional", dedupe.SQLite, "sqlite", nil},
	{"redis", "Redis, the claim alone", 0, "", private.Redis},
}

// stores measures every kind and writes its table.
func stores(ctx context.Context, o options, page *bytes.Buffer) error {
	fmt.Fprint(page, "| store | connections of a replica |")
	for _, n := range o.replicas {
		fmt.Fprintf(page, " %d %s |", n, plural(n, "replica", "replicas"))
	}
	fmt.Fprintf(page, "\n| --- | ---: |%s\n", string(bytes.Repeat([]byte(" ---: |"), len(o.replicas))))
	for _, k := range kinds {
		if !o.wants(k.name) {
			continue
		}
		if err := k.measure(ctx, o, page); absent(err) {
			fmt.Fprintf(page, "| %s | not installed |\n", k.title)
		} else if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	fmt.Fprint(page, "\nEach cell is deliveries per second, and the median and the 99th percentile of the time that one takes.\n"+
		"A delivery is a POST over loopback, opened, verified, validated, claimed, handled (a row is inserted), committed and acknowledged.\n"+
		"Twice as many are under way at a time as there are connections.\n"+
		"\"refused\" counts deliveries that were answered 503, which the gateway would send again; the load does not.\n\n")
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (k kind) measure(ctx context.Context, o options, page *bytes.Buffer) error {
	p, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	for _, conns := range o.conns {
		fmt.Fprintf(page, "| %s | %d |", k.title, conns)
		for _, replicas := range o.replicas {
			r, err := p.cell(ctx, conns, replicas, o.duration)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "load: %s conns=%d replicas=%d %s\n", k.name, conns, replicas, r)
			fmt.Fprintf(page, " %s |", r)
		}
		fmt.Fprintln(page)
	}
	return nil
}

// place is a server with the tables.
type place struct {
	kind
	server *private.Server
	dir    string
	dsn    string
	db     *sql.DB // of the judge; nil for Redis
	cells  int
}

func (k kind) open(ctx context.Context) (_ *place, err error) {
	p := &place{kind: k}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if k.start == nil {
		if p.dir, err = os.MkdirTemp("", "load"); err != nil {
			return nil, err
		}
		p.dsn = "file:" + filepath.Join(p.dir, "load.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)"
	} else {
		if p.server, err = k.start(ctx, private.Options{}); err != nil {
			return nil, err
		}
		p.dsn = p.server.DSN
		if err := p.server.Start(ctx, p.ready); err != nil {
			return nil, err
		}
	}
	if k.dialect == 0 {
		return p, nil
	}
	if p.db, err = sql.Open(k.driver, p.dsn); err != nil {
		return nil, err
	}
	p.db.SetMaxOpenConns(2)
	claims, err := dedupe.NewSQL(p.db, dedupe.SQLConfig{Dialect: k.dialect})
	if err != nil {
		return nil, err
	}
	if err := claims.Migrate(ctx); err != nil {
		return nil, err
	}
	_, err = p.db.ExecContext(ctx, "CREATE TABLE effects (order_id VARCHAR(64) NOT NULL, consumer INTEGER NOT NULL)")
	return p, err
}

func (p *place) ready(ctx context.Context) error {
	if p.dialect == 0 {
		client := redis.NewClient(&redis.Options{Addr: p.server.Addr})
		defer client.Close()
		return client.Ping(ctx).Err()
	}
	db, err := sql.Open(p.driver, p.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

func (p *place) close() {
	if p.db != nil {
		p.db.Close()
	}
	if p.server != nil {
		p.server.Close()
	}
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}

// replica is a webhook with a pool of its own.
type replica struct {
	server *httptest.Server
	close  func()
}

func (p *place) replica(conns int) (*replica, error) {
	var store dedupe.Store
	handle := func(context.Context, *api.Notification) error { return nil }
	var closer func()
	if p.dialect == 0 {
		client := redis.NewClient(&redis.Options{Addr: p.server.Addr, PoolSize: conns})
		closer = func() { client.Close() }
		s, err := redisstore.New(client, redisstore.Config{})
		if err != nil {
			return nil, err
		}
		store = s
	} else {
		db, err := sql.Open(p.driver, p.dsn)
		if err != nil {
			return nil, err
		}
		closer = func() { db.Close() }
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		if store, err = dedupe.NewSQL(db, dedupe.SQLConfig{Dialect: p.dialect, Mode: dedupe.Transactional}); err != nil {
			return nil, err
		}
		handle = inserter(p.dialect, 0)
	}
	w, err := newWebhook(store)
	if err != nil {
		closer()
		return nil, err
	}
	server := httptest.NewServer(middleware.Handle(w, handle))
	return &replica{server, func() { server.Close(); closer() }}, nil
}

func newWebhook(store dedupe.Store) (*middleware.Webhook, error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return nil, err
	}
	return ottpay.NewWebhook(middleware.Config{
		Keys:   middleware.StaticKeys{merchantID: {key}},
		Store:  store,
		Logger: slog.New(slog.DiscardHandler),
		// A query costs what the gateway costs.
		InsecureTrustCallback: true,
	})
}

// inserter is a handler that leaves a row through the claim's transaction.
func inserter(d dedupe.Dialect, consumer int) func(context.Context, *api.Notification) error {
	insert := sqldb.Dialect(d).Bind("INSERT INTO effects (order_id, consumer) VALUES (?, ?)")
	return func(ctx context.Context, n *api.Notification) error {
		tx, ok := dedupe.TxFromContext(ctx)
		if !ok {
			return errors.New("no transaction in the context")
		}
		_, err := tx.ExecContext(ctx, insert, n.OrderID, consumer)
		return err
	}
}

// result is what a combination has carried.
type result struct {
	perSecond  float64
	p50, p99   time.Duration
	unanswered int // deliveries that were not acknowledged
}

func (r result) String() string {
	text := fmt.Sprintf("%.0f/s · %s / %s ms", r.perSecond, millis(r.p50), millis(r.p99))
	if r.unanswered > 0 {
		text += fmt.Sprintf(" · %d refused", r.unanswered)
	}
	return text
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }

// cell measures one combination, after a quarter of the time to warm up.
func (p *place) cell(ctx context.Context, conns, replicas int, d time.Duration) (result, error) {
	p.cells++
	var urls []string
	for range replicas {
		r, err := p.replica(conns)
		if err != nil {
			return result{}, err
		}
		defer r.close()
		urls = append(urls, r.server.URL)
	}
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return result{}, err
	}
	workers := 2 * conns * replicas
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}, Timeout: time.Minute}
	defer client.CloseIdleConnections()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	from, until := start.Add(d/4), start.Add(d/4+d)
	var number, acknowledged atomic.Int64
	var mu sync.Mutex
	var times []time.Duration
	refused := 0
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for ctx.Err() == nil && time.Now().Before(until) {
				body, err := callback(key, fmt.Sprintf("L%04d%08d", p.cells, number.Add(1)))
				if err != nil {
					cancel(err)
					return
				}
				began := time.Now()
				ok, err := post(ctx, client, urls[i%replicas], body)
				took := time.Since(began)
				if err != nil {
					cancel(err)
					return
				}
				if ok {
					acknowledged.Add(1)
				}
				mu.Lock()
				if !ok {
					refused++
				} else if ended := began.Add(took); ended.After(from) && !ended.After(until) {
					times = append(times, took)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	if err := p.judge(ctx, acknowledged.Load()); err != nil {
		return result{}, err
	}
	if len(times) == 0 {
		return result{unanswered: refused}, nil
	}
	slices.Sort(times)
	return result{
		perSecond: float64(len(times)) / d.Seconds(),
		p50:       times[len(times)/2], p99: times[len(times)*99/100],
		unanswered: refused,
	}, nil
}

// judge compares the rows with the acknowledgements.
func (p *place) judge(ctx context.Context, acknowledged int64) error {
	if p.db == nil {
		return nil
	}
	var rows, orders int64
	query := fmt.Sprintf("SELECT COUNT(*), COUNT(DISTINCT order_id) FROM effects WHERE order_id LIKE 'L%04d%%'", p.cells)
	if err := p.db.QueryRowContext(ctx, query).Scan(&rows, &orders); err != nil {
		return err
	}
	if rows != orders || orders < acknowledged {
		return fmt.Errorf("%d deliveries were acknowledged, %d orders have a row, and there are %d rows", acknowledged, orders, rows)
	}
	return nil
}

func callback(key envelope.Key, order string) ([]byte, error) {
	sealed, err := key.Seal(fmt.Appendf(nil,
		`{"order_id":%q,"amount":"1999","bizpay_order_id":"WX%s","finish_time":"20240102110405","merchant_id":%q}`, order, order, merchantID))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchantID, Sealed: sealed})
}

func post(ctx context.Context, client *http.Client, url string, body []byte) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, nil
}
