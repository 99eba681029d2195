// Package redisstore keeps the claims of package dedupe in Redis, 5.0 and later,
// or a server that speaks its protocol and runs its Lua.
//
// Redis is faster than a database, and may forget what it has answered. Know what
// it can lose before it guards payments:
//
//   - Replication is asynchronous. If the primary fails before its replica has a
//     confirmation, the confirmation is lost, and the delivery is handled again if
//     it comes again. The same is true of a claim: across a failover, two
//     processes may hold the same ID.
//   - Without persistence a restart forgets everything. With an append-only file
//     and appendfsync everysec, the default, it forgets up to two seconds.
//   - With a maxmemory-policy other than noeviction, Redis drops keys when memory
//     is short, confirmations and claims alike.
//
// [Store.Check] looks for the last two. What is forgotten is handled again. It is
// never acknowledged without having been handled. If the handler must not run
// twice, use dedupe.SQL in transactional mode.
//
// A confirmed ID takes about 240 bytes of the server's memory, and is kept for
// good by default.
package redisstore

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/dedupe"
)

// Config configures [New]. Its zero value works.
type Config struct {
	// Prefix is put before each key. It must not hold braces, which mark the hash
	// tag. Defaults to "ottpay:dedupe:".
	Prefix string

	// Retention is how long confirmed IDs are kept. A delivery that comes again
	// after that is handled again, and an envelope carries no time that would bound
	// a replay. Defaults to zero: for good.
	Retention time.Duration

	// Random is the source of the fencing tokens. If nil, crypto/rand.Reader.
	Random io.Reader
}

// Store is a [dedupe.Store] in Redis. Each ID is one key, with the ID as its hash
// tag, and only scripts change it. So it works with a cluster as with a single
// server. Leases are counted by the server's clock. A claim has a random fencing
// token of 16 bytes, so that an owner whose lease was taken over can neither
// confirm nor release.
//
// It is at-least-once: if the process dies between the end of the work and the
// confirmation, the delivery is handled again after the lease.
//
// Store is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	cfg    Config
}

// Format writes the type's name, whatever the verb: a client's options hold a
// password.
func (*Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redis.Store") }

var (
	//go:embed claim.lua
	claimSource string
	//go:embed confirm.lua
	confirmSource string
	//go:embed release.lua
	releaseSource string

	claimScript   = redis.NewScript(claimSource)
	confirmScript = redis.NewScript(confirmSource)
	releaseScript = redis.NewScript(releaseSource)
)

var (
	// ErrEvicts says that the server drops keys when memory is short.
	ErrEvicts = errors.New("redisstore: maxmemory-policy is not noeviction")

	// ErrForgets says that the server writes no append-only file: a crash loses what
	// was confirmed since the last snapshot.
	ErrForgets = errors.New("redisstore: appendonly is off")
)

// New returns a store on the client: a *redis.Client, also one for Sentinel, or a
// *redis.ClusterClient. The caller keeps the client and closes it. The client's
// own time-outs and repetitions apply. Repetitions are safe. No operation takes
// longer than its context.
func New(client redis.UniversalClient, cfg Config) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: no client")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "ottpay:dedupe:"
	}
	if strings.ContainsAny(cfg.Prefix, "{}") {
		return nil, errors.New("redisstore: prefix holds a brace")
	}
	if cfg.Retention < 0 || cfg.Retention > 0 && cfg.Retention < time.Millisecond {
		return nil, errors.New("redisstore: retention is below a millisecond")
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	return &Store{client: client, cfg: cfg}, nil
}

// Key returns the name of the key under which the id is kept: a hash of a
// fencing token, a mark and, until it is confirmed, the lease's end in
// milliseconds since 1970.
func (s *Store) Key(id dedupe.ID) string {
	return s.cfg.Prefix + "{" + base64.RawURLEncoding.EncodeToString(id.Key[:]) + "}"
}

// Claim implements [dedupe.Store].
func (s *Store) Claim(ctx context.Context, id dedupe.ID, lease time.Duration) (dedupe.Claim, error) {
	if lease <= 0 {
		return nil, errors.New("redisstore: lease is not positive")
	}
	token := make([]byte, 16)
	if _, err := io.ReadFull(s.cfg.Random, token); err != nil {
		return nil, fmt.Errorf("redisstore: claim: %w", err)
	}
	c := &claim{store: s, key: s.Key(id), token: token}
	word, err := c.run(ctx, claimScript, token, id.Mark[:], millis(lease))
	if err != nil {
		return nil, fmt.Errorf("redisstore: claim: %w", err)
	}
	switch word {
	case "ok":
		return c, nil
	case "done":
		return nil, dedupe.ErrDone
	case "conflict":
		return nil, dedupe.ErrConflict
	default:
		return nil, dedupe.ErrInFlight
	}
}

// Look implements [dedupe.Looker]. It reads only: the mark of an id that was
// confirmed without one is kept by Claim.
func (s *Store) Look(ctx context.Context, id dedupe.ID) error {
	kept, err := bounded(ctx, func() ([]any, error) {
		return s.client.HMGet(ctx, s.Key(id), "mark", "lease").Result()
	})
	if err != nil {
		return fmt.Errorf("redisstore: look: %w", err)
	}
	mark, known := kept[0].(string)
	if !known || kept[1] != nil { // free, or in flight
		return nil
	}
	var m [32]byte
	copy(m[:], mark)
	if id.Conflicts(m) {
		return dedupe.ErrConflict
	}
	return dedupe.ErrDone
}

// millis rounds up, so that no lease becomes none.
func millis(d time.Duration) int64 {
	n := d.Milliseconds()
	if d%time.Millisecond > 0 {
		n++
	}
	return n
}

type claim struct {
	store *Store
	key   string
	token []byte
}

// Confirm implements [dedupe.Claim].
func (c *claim) Confirm(ctx context.Context) error {
	word, err := c.run(ctx, confirmScript, c.token, c.store.cfg.Retention.Milliseconds())
	if err != nil {
		return fmt.Errorf("redisstore: confirm: %w", err)
	}
	if word != "ok" {
		return dedupe.ErrLost
	}
	return nil
}

// Release implements [dedupe.Claim].
func (c *claim) Release(ctx context.Context) error {
	word, err := c.run(ctx, releaseScript, c.token)
	if err != nil {
		return fmt.Errorf("redisstore: release: %w", err)
	}
	if word != "ok" {
		return dedupe.ErrLost
	}
	return nil
}

// run runs a script on the claim's key.
func (c *claim) run(ctx context.Context, script *redis.Script, args ...any) (string, error) {
	return bounded(ctx, func() (string, error) {
		return script.Run(ctx, c.store.client, []string{c.key}, args...).Text()
	})
}

// bounded runs f and waits for it no longer than ctx. Unless it is told to,
// go-redis looks at a context between its attempts only, each of which takes
// seconds on a network that swallows packets. f ends by the client's time-outs.
func bounded[T any](ctx context.Context, f func() (T, error)) (result T, err error) {
	if err := ctx.Err(); err != nil {
		return result, err
	}
	type answer struct {
		result T
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		r, err := f()
		answered <- answer{r, err}
	}()
	select {
	case a := <-answered:
		return a.result, a.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

// Ping reports whether the server answers, for readiness checks.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := bounded(ctx, func() (string, error) { return s.client.Ping(ctx).Result() }); err != nil {
		return fmt.Errorf("redisstore: ping: %w", err)
	}
	return nil
}

// Check reports whether the server, or each primary of a cluster, is configured
// to keep what it is told. If not, the error matches [ErrEvicts], [ErrForgets] or
// both. It uses INFO, which managed services allow. Call it at the start of the
// program, and log or refuse. It cannot see how often the append-only file is
// synced, nor what replication may lose.
func (s *Store) Check(ctx context.Context) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, check)
	}
	return check(ctx, s.client)
}

// check takes the interface's or the primary's own client.
func check[C interface {
	Info(ctx context.Context, section ...string) *redis.StringCmd
}](ctx context.Context, client C) error {
	info := make(map[string]string)
	for _, section := range []string{"memory", "persistence"} {
		text, err := client.Info(ctx, section).Result()
		if err != nil {
			return fmt.Errorf("redisstore: check: %w", err)
		}
		for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			info[name] = strings.TrimSpace(value)
		}
	}
	var errs []error
	if info["maxmemory_policy"] != "noeviction" {
		errs = append(errs, ErrEvicts)
	}
	if info["aof_enabled"] != "1" {
		errs = append(errs, ErrForgets)
	}
	return errors.Join(errs...)
}
