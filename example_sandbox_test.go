package ottpay_test

import (
	"log"
	"log/slog"
	"strconv"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// logger keeps the examples' output to what they print.
var logger = slog.New(slog.DiscardHandler)

// keys is where a shop reads its sign key from the environment.
func keys() middleware.StaticKeys {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		log.Fatal(err)
	}
	return middleware.StaticKeys{merchantID: {key}}
}

// sandbox starts a gateway in the box, whose clock stands still and which makes
// up the same ids each time, and makes a client for it. Against OTT Pay itself
// the client has no BaseURL.
func sandbox(cfg ottpaytest.Config) (*ottpaytest.Gateway, *ottpay.Client) {
	cfg.MerchantID, cfg.SignKey = merchantID, signKey
	cfg.Clock = ottpaytest.NewManualClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
	ids := 781266859681754
	cfg.NewID = func() string { ids++; return strconv.Itoa(ids) }
	gateway := ottpaytest.NewGateway(cfg)
	client, err := ottpay.New(ottpay.Config{
		MerchantID: merchantID,
		OperatorID: "0000000001",
		Keys:       keys(),
		BaseURL:    gateway.URL,
	})
	if err != nil {
		log.Fatal(err)
	}
	return gateway, client
}
