package redisstore_test

import (
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/ottpaykit/ottpay/dedupe"
	redisstore "github.com/ottpaykit/ottpay/stores/redis"
)

// A store goes into the webhook's configuration as its Store. What it keeps of
// a payment stands under one key.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"}) // connects when it is used
	defer client.Close()
	store, err := redisstore.New(client, redisstore.Config{Prefix: "shop:paid:"})
	if err != nil {
		log.Fatal(err)
	}
	// At start, store.Check(ctx) says whether this server may forget.
	fmt.Println(store.Key(dedupe.Identify("TS00000001", "A1001", "paid")))
	// Output:
	// shop:paid:{I3pxalCIQb2M50vDRwk-liN-LFenwdHT2MZvem62nvA}
}
