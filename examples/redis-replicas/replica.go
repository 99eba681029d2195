package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// replicaVariable makes a process a replica. It holds a replica's JSON.
const replicaVariable = "OTTPAY_EXAMPLE_REPLICA"

// replica is one of the merchant's processes.
type replica struct {
	Name    string
	Redis   string // address
	Prefix  string // of the keys
	Gateway string // URL
}

// replicaConfig says whether this process is to be a replica.
func replicaConfig() (r replica, ok bool, err error) {
	text, ok := os.LookupEnv(replicaVariable)
	if !ok {
		return replica{}, false, nil
	}
	return r, true, json.Unmarshal([]byte(text), &r)
}

// serve listens on a port of its own, which it writes to standard output, until
// standard input ends: with the process that started it.
func (r replica) serve() error {
	client := redis.NewClient(&redis.Options{Addr: r.Redis})
	defer client.Close()
	store, err := redisstore.New(client, redisstore.Config{Prefix: r.Prefix + "dedupe:"})
	if err != nil {
		return err
	}
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	keys := middleware.StaticKeys{merchantID: {key}}
	asker, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID, OperatorID: "0000000001", Keys: keys, BaseURL: r.Gateway, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer asker.CloseIdleConnections()
	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys,
		Store:  store,
		Asker:  asker,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ottpay/callback", middleware.Handle(webhook, func(ctx context.Context, n *api.Notification) error {
		return r.paid(ctx, client, n)
	}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- errors.Join(webhook.Shutdown(ctx), server.Shutdown(ctx))
	}()
	fmt.Println(listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// paid is the handler. It counts, where all replicas count.
func (r replica) paid(ctx context.Context, client *redis.Client, n *api.Notification) error {
	if d, ok := middleware.FromContext(ctx); !ok || !d.Matches(price) {
		return errors.New("not the amount of the order, or not paid")
	}
	_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HIncrBy(ctx, r.Prefix+"handled", n.OrderID, 1)
		p.HIncrBy(ctx, r.Prefix+"replicas", r.Name, 1)
		return nil
	})
	return err
}
