package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestPage runs the stories of test/pay.test.js under Node: the page as it
// stands in the mini-program, this server, and a gateway.
func TestPage(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has to have node:", err)
		}
		t.Skip("the mini-program's tests need Node 20: ", err)
	}
	reads(t, "miniprogram", "test")
	stage := newStage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--test", "test/pay.test.js")
	cmd.Env = append(os.Environ(), "OTTPAY_TEST_SHOP="+stage.shopURL, "OTTPAY_TEST_CONTROL="+stage.controlURL, "NODE_OPTIONS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := string(out); !strings.Contains(text, "# fail 0\n") || strings.Contains(text, "# tests 0\n") {
		t.Errorf("node ran no test, or does not say so:\n%s", text)
	}
}

// reads opens the files that Node reads, so that go test does not take its
// result from the cache after one has changed.
func reads(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stage is a shop and a gateway on loopback, and the control through which a
// test plays the payer and the network.
type stage struct {
	shop       *shop
	gateway    *ottpaytest.Gateway
	shopURL    string
	controlURL string

	loseAnswer atomic.Bool  // of the next order
	later      atomic.Int64 // what the clock is ahead, in nanoseconds
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{gateway: ottpaytest.NewGateway(ottpaytest.Config{
		MerchantID: demoMerchant, SignKey: demoSignKey,
		Redelivery: []time.Duration{10 * time.Millisecond, 10 * time.Millisecond},
	})}
	t.Cleanup(s.gateway.Close)
	var routes atomic.Value // the shop has to know its URL first
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handler, _ := routes.Load().(http.Handler)
		if r.URL.Path == "/api/orders" && s.loseAnswer.CompareAndSwap(true, false) {
			handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	var err error
	s.shop, err = newShop(config{
		url: server.URL, gatewayURL: s.gateway.URL,
		merchantID: demoMerchant, operatorID: demoOperator, signKey: demoSignKey,
		appID: "wx0000000000000001", login: pretended{},
		logger: slog.New(slog.DiscardHandler),
		// The shop asks the gateway at most once a second; its clock runs fast
		// here, so that nothing has to wait.
		now: func() time.Time { return time.Now().Add(time.Duration(s.later.Add(int64(time.Second)))) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.shop.close)
	routes.Store(s.shop.routes())
	s.shopURL = server.URL
	control := httptest.NewServer(s.control())
	t.Cleanup(control.Close)
	s.controlURL = control.URL
	return s
}

func (s *stage) control() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc("POST "+path, func(rw http.ResponseWriter, r *http.Request) {
			v, err := do(r)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusConflict)
				return
			}
			if v == nil {
				v = struct{}{}
			}
			_ = json.NewEncoder(rw).Encode(v)
		})
	}
	handle("/pay", func(r *http.Request) (any, error) {
		id, err := s.orderOf(r.FormValue("prepay"))
		if err != nil {
			return nil, err
		}
		return nil, s.gateway.Merchant(demoMerchant).Pay(id, ottpaytest.Payment{Silent: r.FormValue("silent") != ""})
	})
	handle("/booked", func(r *http.Request) (any, error) {
		return map[string]int{"booked": s.shop.booked(r.FormValue("order"))}, nil
	})
	handle("/orders", func(*http.Request) (any, error) { return len(s.gateway.Orders()), nil })
	handle("/later", func(*http.Request) (any, error) {
		s.later.Add(int64(time.Minute))
		return nil, nil
	})
	handle("/forget-sessions", func(*http.Request) (any, error) {
		s.shop.sessions.mu.Lock()
		defer s.shop.sessions.mu.Unlock()
		clear(s.shop.sessions.open)
		return nil, nil
	})
	handle("/other-session", func(*http.Request) (any, error) {
		return map[string]string{"session": s.shop.sessions.start("o-another-payer")}, nil
	})
	handle("/lose-next-answer", func(*http.Request) (any, error) {
		s.loseAnswer.Store(true)
		return nil, nil
	})
	handle("/gateway-drops-next", func(*http.Request) (any, error) {
		return s.gateway.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionMAPPPAY})
	})
	return mux
}

// orderOf finds the order that wx.requestPayment was given.
func (s *stage) orderOf(prepay string) (string, error) {
	for _, o := range s.gateway.Orders() {
		if prepay == "prepay_id="+strings.ToLower(o.ChannelID) {
			return o.ID, nil
		}
	}
	return "", errors.New("no order has this prepay_id")
}

// TestOneOrder sends one request to buy many times at once.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			id, payment, err := s.shop.buy(t.Context(), request{"o1", "request-1"}, items["tea"])
			if err != nil || len(payment) == 0 {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one request made the orders %q", ids)
		}
	}
	if n := s.gateway.Attempts(ids[0]); n != 1 {
		t.Errorf("the gateway was asked %d times, want once", n)
	}
	other, _, err := s.shop.buy(t.Context(), request{"o2", "request-1"}, items["tea"])
	if err != nil || other == ids[0] {
		t.Errorf("the same request id of another payer: order %q, %v", other, err)
	}
	if _, _, err := s.shop.buy(t.Context(), request{"o1", "request-1"}, item{ID: "coffee"}); !errors.Is(err, errOtherItem) {
		t.Errorf("the same request for another item: %v", err)
	}
}

// TestWeChatLogin: the code is exchanged on the server, and no error shows the
// secret.
func TestWeChatLogin(t *testing.T) {
	t.Parallel()
	const secret = "canary-secret"
	answers := map[string]string{
		"good":  `{"openid":"oGood","session_key":"s"}`,
		"used":  `{"errcode":40163,"errmsg":"code been used"}`,
		"empty": `{}`,
		"html":  `<html>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("appid") != "wx1" || q.Get("secret") != secret || q.Get("grant_type") != "authorization_code" {
			t.Errorf("asked with %v", q)
		}
		_, _ = rw.Write([]byte(answers[q.Get("js_code")]))
	}))
	w := weChat{url: server.URL, appID: "wx1", secret: secret, client: server.Client()}
	if got, err := w.openID(t.Context(), "good"); got != "oGood" || err != nil {
		t.Errorf("good: %q, %v", got, err)
	}
	for code, want := range map[string]bool{"used": true, "empty": true, "html": false} {
		if got, err := w.openID(t.Context(), code); got != "" || errors.Is(err, errLogin) != want || err == nil {
			t.Errorf("%s: %q, %v", code, got, err)
		}
	}
	server.Close()
	if _, err := w.openID(t.Context(), "good"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("an unreachable WeChat: %v", err)
	}
}
