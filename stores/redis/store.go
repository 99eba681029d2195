// Package redisstore keeps the claims of package dedupe in Redis, 5.0 and later,
// or a server that speaks its protocol and runs its Lua.
//
// Redis answers sooner than a database, and may forget what it answered. Know
// what it can lose before it guards payments:
//
//   - Replication is asynchronous. A confirmation that was answered is gone when
//     the primary fails before its replica has it; then a delivery that comes
//     again is handled again. The same goes for a claim: two processes may hold
//     one at a time across a failover.
//   - Without persistence a restart forgets everything. With an append-only file
//     and appendfsync everysec, the default, it forgets up to a second or two.
//   - With a maxmemory-policy other than noeviction Redis drops keys when memory
//     is short: confirmations and claims alike.
//
// [Store.Check] looks for the last two. What is forgotten is handled again; it
// is never acknowledged without having been handled. A handler that is not
// harmless when repeated wants dedupe.SQL in transactional mode.
//
// A confirmed id costs about 240 bytes of the server's memory, and is kept for
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
	// Prefix is put before each key. It must hold no braces, which are the hash
	// tag's. Defaults to "ottpay:dedupe:".
	Prefix string

	// Retention is how long confirmed ids are kept. A delivery that comes again
	// later is handled again, and an envelope carries no time that would bound a
	// replay. Defaults to zero: for good.
	Retention time.Duration

	// Random is the source of the fencing tokens. If nil, crypto/rand.Reader.
	Random io.Reader
}

// Store is a [dedupe.Store] in Redis. Each id is one key with the id as its hash
// tag, changed by scripts, so that a cluster serves as well as a single server.
// Leases are counted by the server's clock. A claim has a random fencing token
// of 16 bytes, so that an owner whose lease was taken over can neither confirm
// nor release.
//
// When the process dies between the end of the work and the confirmation, the
// delivery is handled again after the lease: at least once.
//
// Store is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	cfg    Config
}

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
	// ErrEvicts says that the server drops keys when its memory is short.
	ErrEvicts = errors.New("redisstore: maxmemory-policy is not noeviction")

	// ErrForgets says that the server writes no append-only file, so that a crash
	// forgets at least what was confirmed since its last snapshot.
	ErrForgets = errors.New("redisstore: appendonly is off")
)

// New returns a store on the client: a *redis.Client, also one for Sentinel, or
// a *redis.ClusterClient. The caller keeps the client and closes it. The
// client's own time-outs and repetitions apply, and are safe.
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
	kept, err := s.client.HMGet(ctx, s.Key(id), "mark", "lease").Result()
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
	return script.Run(ctx, c.store.client, []string{c.key}, args...).Text()
}

// Ping reports whether the server answers, for readiness checks.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redisstore: ping: %w", err)
	}
	return nil
}

// Check reports whether the server, or each primary of a cluster, is configured
// to keep what it is told: an error that matches [ErrEvicts], [ErrForgets] or
// both says that it is not. It asks with INFO, which managed services allow,
// too. Call it at the start, and log or refuse. It cannot see how often the
// append-only file is synced, nor what replication may lose.
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
