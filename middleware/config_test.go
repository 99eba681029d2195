package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/validate"
)

// TestNewRefuses: what can be known of a configuration is an error before the
// first callback comes.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := mustKey(t, publishedKey)
	keys := func(id string, keys ...envelope.Key) middleware.StaticKeys { return middleware.StaticKeys{id: keys} }
	for name, change := range map[string]func(*middleware.Config){
		"no Keys":                  func(c *middleware.Config) { c.Keys = nil },
		"nil StaticKeys":           func(c *middleware.Config) { c.Keys = middleware.StaticKeys(nil) },
		"typed nil Keys":           func(c *middleware.Config) { c.Keys = (*faulty)(nil) },
		"nil func as Keys":         func(c *middleware.Config) { c.Keys = keysFunc(nil) },
		"no Store":                 func(c *middleware.Config) { c.Store = nil },
		"typed nil Store":          func(c *middleware.Config) { c.Store = (*dedupe.Memory)(nil) },
		"no Validator":             func(c *middleware.Config) { c.Validator = nil },
		"typed nil Validator":      func(c *middleware.Config) { c.Validator = (*faulty)(nil) },
		"no Asker":                 func(c *middleware.Config) { c.Asker = nil },
		"an Asker, and none":       func(c *middleware.Config) { c.InsecureTrustCallback = true },
		"typed nil Asker":          func(c *middleware.Config) { c.Asker = (*faulty)(nil) },
		"nil func as Asker":        func(c *middleware.Config) { c.Asker = askerFunc(nil) },
		"typed nil AskLimiter":     func(c *middleware.Config) { c.AskLimiter = (*faulty)(nil) },
		"typed nil Journal":        func(c *middleware.Config) { c.Journal = (*faulty)(nil) },
		"typed nil SourceLimiter":  func(c *middleware.Config) { c.SourceLimiter = (*faulty)(nil) },
		"typed nil Observer":       func(c *middleware.Config) { c.Observer = (*faulty)(nil) },
		"Logger without a handler": func(c *middleware.Config) { c.Logger = new(slog.Logger) },
		"zero Key":                 func(c *middleware.Config) { c.Keys = keys(merchant, envelope.Key{}) },
		"zero Key behind another":  func(c *middleware.Config) { c.Keys = keys(merchant, good, envelope.Key{}) },
		"merchant without a key":   func(c *middleware.Config) { c.Keys = keys(merchant) },
		"merchant with a blank":    func(c *middleware.Config) { c.Keys = keys(" "+merchant, good) },
		"merchant with a newline":  func(c *middleware.Config) { c.Keys = keys(merchant+"\n", good) },
		"empty merchant":           func(c *middleware.Config) { c.Keys = keys("", good) },
		"another merchant's keys":  func(c *middleware.Config) { c.Merchant = "TS00000002" },
		"Merchant with a blank":    func(c *middleware.Config) { c.Merchant = merchant + " " },
		"negative Timeout":         func(c *middleware.Config) { c.Timeout = -1 },
		"negative Lease":           func(c *middleware.Config) { c.Lease = -1 },
		"Lease within Timeout":     func(c *middleware.Config) { c.Timeout, c.Lease = time.Minute, time.Minute },
		"negative ConfirmTimeout":  func(c *middleware.Config) { c.ConfirmTimeout = -1 },
		"negative OrderIDLength":   func(c *middleware.Config) { c.OrderIDLength = [2]int{-1, 3} },
		"OrderIDLength reversed":   func(c *middleware.Config) { c.OrderIDLength = [2]int{4, 3} },
		"line feed in a header":    func(c *middleware.Config) { c.Acknowledgement.ContentType = "text/plain\r\nX: y" },
	} {
		cfg := middleware.Config{Keys: keys(merchant, good), Store: newMemory(), Validator: sharedValidator(), Asker: new(counter)}
		if _, err := middleware.New(cfg); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		w, err := middleware.New(cfg)
		if err == nil || w != nil || !strings.HasPrefix(err.Error(), "middleware: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type (
	badTag struct {
		Attach string `json:"attach" validate:"requird"`
	}
	badTagNested struct {
		Lines []badTag `json:"lines"`
	}
	badTagPointer struct {
		Line *badTag `json:"line"`
	}
	badTagParam struct {
		N int `json:"n" validate:"min=x"`
	}
	badTagOmitted struct {
		N string `json:"n" validate:"omitempty,len=x"`
	}
	text     string
	shopsOwn struct {
		api.Notification
		Attach string `json:"attach" validate:"omitempty,max=40"`
	}
	plain struct {
		OrderID string            `json:"order_id" validate:"required"`
		Amount  json.Number       `json:"amount"`
		More    map[string]string `json:"more"`
		At      time.Time         `json:"at"`
		Next    *plain            `json:"next"`
	}
)

// TestHandleRefuses: a type that nothing can be received as stops the program
// when the route is mounted, and not the first payment.
func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(cfg *middleware.Config) { cfg.Validator = validate.New() })
	for name, c := range map[string]struct {
		mount func(*middleware.Webhook)
		names string // what the error must name
	}{
		"unknown rule":            {mount[badTag], "requird"},
		"unknown rule in a slice": {mount[badTagNested], "requird"},
		"unknown rule behind *":   {mount[badTagPointer], "requird"},
		"a rule's parameter":      {mount[badTagParam], "badTagParam"},
		"a parameter, optional":   {mount[badTagOmitted], "badTagOmitted"},
		"map":                     {mount[map[string]any], "map"},
		"pointer":                 {mount[*api.Notification], "Notification"},
		"RawMessage":              {mount[json.RawMessage], "RawMessage"},
		"interface":               {mount[any], "interface"},
		"text":                    {mount[text], "text"},
		"slice":                   {mount[[]byte], "uint8"},
	} {
		if got := fmt.Sprint(recovered(func() { c.mount(w) })); !strings.Contains(got, c.names) {
			t.Errorf("%s: panic %v", name, got)
		}
	}
	for name, mount := range map[string]func(*middleware.Webhook){
		"Notification":         mount[api.Notification],
		"CardNotification":     mount[api.CardNotification],
		"CheckoutNotification": mount[api.CheckoutNotification],
		"embedded":             mount[shopsOwn],
		"the shop's own":       mount[plain],
		"empty":                mount[struct{}],
	} {
		if got := recovered(func() { mount(w) }); got != nil {
			t.Errorf("%s: panic %v", name, got)
		}
	}
	for name, mount := range map[string]func(){
		"nil function":         func() { middleware.Handle[api.Notification](w, nil) },
		"nil Webhook":          func() { mount[api.Notification](nil) },
		"nil handler":          func() { w.Handler(nil) },
		"nil func as handler":  func() { w.Handler(http.HandlerFunc(nil)) },
		"typed nil as handler": func() { w.Handler((*http.ServeMux)(nil)) },
	} {
		if recovered(mount) == nil {
			t.Errorf("%s: no panic", name)
		}
	}
}

func mount[T any](w *middleware.Webhook) {
	middleware.Handle(w, func(context.Context, *T) error { return nil })
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
