package crosstest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/dedupe/dedupetest"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// redisClient returns a client of the server, and a prefix whose keys are
// deleted at the end.
func redisClient(t testing.TB) (client *redis.Client, prefix string) {
	t.Helper()
	const env = "OTTPAY_TEST_REDIS"
	client = redis.NewClient(&redis.Options{Addr: cmp.Or(os.Getenv(env), "127.0.0.1:6379")})
	t.Cleanup(func() { client.Close() })
	if err := client.Ping(t.Context()).Err(); err != nil {
		absent(t, "Redis", env, err)
	}
	return client, ownPrefix(t, client)
}

func ownPrefix(t testing.TB, client redis.UniversalClient) string {
	prefix := "ottpay-test-" + rand.Text() + ":"
	t.Cleanup(func() {
		ctx := context.Background()
		for keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator(); keys.Next(ctx); {
			client.Del(ctx, keys.Val())
		}
	})
	return prefix
}

func redisStore(t testing.TB, client redis.UniversalClient, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func redisHarness(t *testing.T, client redis.UniversalClient, prefix string) dedupetest.Harness {
	absent := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { absent.Close() })
	cfg := redisstore.Config{Prefix: prefix}
	store := redisStore(t, client, cfg)
	return dedupetest.Harness{
		Store:   store,
		Replica: redisStore(t, client, cfg),
		Broken:  redisStore(t, absent, cfg),
		Expire: func(t *testing.T, id dedupe.ID) {
			t.Helper()
			ctx := t.Context()
			if held, err := client.HExists(ctx, store.Key(id), "lease").Result(); err != nil || !held {
				return // confirmed, or over already
			}
			if err := client.HSet(ctx, store.Key(id), "lease", 0).Err(); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	client, prefix := redisClient(t)
	t.Run("suite", func(t *testing.T) {
		dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return redisHarness(t, client, prefix) })
	})
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	addr := startRedis(t, "--cluster-enabled", "yes")
	node := redis.NewClient(&redis.Options{Addr: addr})
	defer node.Close()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster is up", func() error {
		info, err := node.ClusterInfo(t.Context()).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New(info)
		}
		return err
	})
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}})
	t.Cleanup(func() { client.Close() })
	t.Run("suite", func(t *testing.T) {
		dedupetest.Run(t, func(t *testing.T) dedupetest.Harness { return redisHarness(t, client, "c:") })
	})
	if err := redisStore(t, client, redisstore.Config{}).Check(t.Context()); !errors.Is(err, redisstore.ErrForgets) {
		t.Errorf("Check of a cluster without an append-only file: %v, want ErrForgets", err)
	}
}

// Confirmed ids have no expiry, claims neither; with a retention, only what is
// confirmed.
func TestRedisRetention(t *testing.T) {
	t.Parallel()
	client, prefix := redisClient(t)
	for _, retention := range []time.Duration{0, 365 * 24 * time.Hour} {
		store := redisStore(t, client, redisstore.Config{Prefix: prefix, Retention: retention})
		id := newID()
		c := mustClaim(t, store, id)
		ttl := func() time.Duration {
			ttl, err := client.PTTL(t.Context(), store.Key(id)).Result()
			if err != nil {
				t.Fatal(err)
			}
			return ttl
		}
		if got := ttl(); got != -1 {
			t.Errorf("retention %v: a claim expires after %v", retention, got)
		}
		mustConfirm(t, c)
		got := ttl()
		if retention == 0 && got != -1 {
			t.Errorf("a confirmed id expires after %v", got)
		}
		if retention > 0 && (got > retention || got < retention-time.Hour) {
			t.Errorf("a confirmed id expires after %v, want %v", got, retention)
		}
	}
}

// A client repeats a command whose answer was lost. The claim is then its own.
func TestRedisRepeatedCommand(t *testing.T) {
	t.Parallel()
	client, prefix := redisClient(t)
	doubled := redis.NewClient(client.Options())
	defer doubled.Close()
	doubled.AddHook(doubler{})
	store := redisStore(t, doubled, redisstore.Config{Prefix: prefix})
	id := newID()
	mustConfirm(t, mustClaim(t, store, id))
	wantClaimError(t, store, id, dedupe.ErrDone)
}

// doubler sends each command twice and returns the second answer.
type doubler struct{}

func (doubler) DialHook(next redis.DialHook) redis.DialHook { return next }

func (doubler) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		next(ctx, cmd)
		return next(ctx, cmd)
	}
}

func (doubler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestRedisTokens(t *testing.T) {
	t.Parallel()
	client, prefix := redisClient(t)
	store := redisStore(t, client, redisstore.Config{Prefix: prefix, Random: strings.NewReader("0123456789abcdefXYZ")})
	id := newID()
	mustClaim(t, store, id)
	if token, err := client.HGet(t.Context(), store.Key(id), "token").Result(); err != nil || token != "0123456789abcdef" {
		t.Errorf("token %q, %v", token, err)
	}
	if _, err := store.Claim(t.Context(), newID(), lease); err == nil {
		t.Error("Claim succeeded without 16 random bytes")
	}
}

func TestRedisCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy, aof string
		want        []error
	}{
		{"noeviction", "yes", nil},
		{"noeviction", "no", []error{redisstore.ErrForgets}},
		{"allkeys-lru", "yes", []error{redisstore.ErrEvicts}},
		{"volatile-ttl", "no", []error{redisstore.ErrEvicts, redisstore.ErrForgets}},
	} {
		t.Run(test.policy+" "+test.aof, func(t *testing.T) {
			t.Parallel()
			client := redis.NewClient(&redis.Options{Addr: startRedis(t, "--maxmemory-policy", test.policy, "--appendonly", test.aof)})
			defer client.Close()
			store := redisStore(t, client, redisstore.Config{})
			if err := store.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := store.Check(t.Context())
			if (err == nil) != (len(test.want) == 0) {
				t.Errorf("Check: %v, want %v", err, test.want)
			}
			for _, want := range test.want {
				if !errors.Is(err, want) {
					t.Errorf("Check: %v, want %v", err, want)
				}
			}
		})
	}
}

func TestRedisUnreachable(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer client.Close()
	store := redisStore(t, client, redisstore.Config{})
	if err := store.Ping(t.Context()); err == nil {
		t.Error("Ping of an absent server succeeded")
	}
	err := store.Check(t.Context())
	if err == nil || errors.Is(err, redisstore.ErrEvicts) || errors.Is(err, redisstore.ErrForgets) {
		t.Errorf("Check of an absent server: %v", err)
	}
}

func TestRedisConfig(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for _, cfg := range []redisstore.Config{
		{Prefix: "a{b"}, {Prefix: "a}b"}, {Retention: -1}, {Retention: time.Microsecond},
	} {
		if _, err := redisstore.New(client, cfg); err == nil {
			t.Errorf("New(%+v) succeeded", cfg)
		}
	}
	if _, err := redisstore.New(nil, redisstore.Config{}); err == nil {
		t.Error("New without a client succeeded")
	}
}

// startRedis starts a server of the test's own and returns its address.
func startRedis(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		absent(t, "redis-server", "PATH", err)
	}
	port := freePort(t)
	args = append(args, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	addr := "127.0.0.1:" + port
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	eventually(t, "redis-server answers", func() error { return client.Ping(t.Context()).Err() })
	return addr
}

// freePort returns a port whose cluster bus port, 10000 above, is in range.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < 55000 {
			return fmt.Sprint(port)
		}
	}
}

// eventually waits until ask returns nil.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.After(20 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("%s: not in time: %v", what, err)
		}
	}
}

// TestRedisBytes keeps the figure in the package's comment true.
func TestRedisBytes(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: startRedis(t)})
	defer client.Close()
	used := func() (n int) {
		info, err := client.Info(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(info[strings.Index(info, "used_memory:"):], "used_memory:%d", &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	store := redisStore(t, client, redisstore.Config{})
	mustConfirm(t, mustClaim(t, store, newID()))
	const n, workers = 8192, 8
	before := used()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range n / workers {
				c, err := store.Claim(t.Context(), newID(), lease)
				if err != nil {
					t.Error(err)
					return
				}
				c.Confirm(t.Context())
			}
		})
	}
	wg.Wait()
	perID := (used() - before) / n
	t.Logf("%d bytes per id", perID)
	if perID > 300 {
		t.Errorf("%d bytes per id, want at most 300", perID)
	}
}
