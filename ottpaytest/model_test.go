package ottpaytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// row is an order in the model: what a bookkeeper would note.
type row struct {
	status           string
	amount, refunded int
	refund           bool
}

// TestModel does things at random to a gateway and to a model of it, a few
// lines that know no schema, and compares all there is to see after each.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			random := rand.New(rand.NewPCG(seed, 1))
			model := make(map[string]*row)
			for step := range 100 {
				id := "A" + strconv.Itoa(random.IntN(6))
				did := play(t, g, random, model, id)
				for id, want := range model {
					q := ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": id}, api.CodeSuccess).data
					got := row{q.text("order_status"), atoi(t, q.text("total_amount")), atoi(t, q.text("refund_fee")), want.refund}
					if got != *want {
						t.Fatalf("step %d, %s: %s is %+v, want %+v", step, did, id, got, *want)
					}
				}
				if n := len(g.Orders()); n != len(model) {
					t.Fatalf("step %d, %s: %d orders, want %d", step, did, n, len(model))
				}
			}
			for id := range model {
				if n := g.Effects(id); n != 1 {
					t.Errorf("%s: %d effects", id, n)
				}
			}
		})
	}
}

// play does one thing to both and returns its name.
func play(t *testing.T, g *ottpaytest.Gateway, random *rand.Rand, model map[string]*row, id string) string {
	t.Helper()
	r := model[id]
	refused := func(did string, err error, want bool) string {
		if (err != nil) != want {
			t.Fatalf("%s %s: %v", did, id, err)
		}
		return did + " " + id
	}
	open := r != nil && !r.refund && r.status == "init"
	switch random.IntN(5) {
	case 0, 1:
		amount := 1 + random.IntN(300)
		code := api.CodeSuccess
		switch {
		case r == nil:
			model[id] = &row{status: "init", amount: amount}
		case !r.refund && (r.status == "success" || r.refunded > 0):
			code = api.CodeOrderPaid
		default:
			code = api.CodeOrderUsed
		}
		ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", id, "amount", strconv.Itoa(amount)), code)
		return "create " + id
	case 2:
		if open {
			r.status = "success"
		}
		return refused("pay", g.Merchant(merchantID).Pay(id, ottpaytest.Payment{Silent: true}), !open)
	case 3:
		if random.IntN(4) > 0 {
			return refundOne(t, g, random, model, id)
		}
		if open {
			r.status = "orderclosed"
		}
		return refused("expire", g.Merchant(merchantID).Expire(id), !open)
	default:
		return refundOne(t, g, random, model, id)
	}
}

func refundOne(t *testing.T, g *ottpaytest.Gateway, random *rand.Rand, model map[string]*row, id string) string {
	t.Helper()
	amount := 1 + random.IntN(150)
	refund := "R" + strconv.Itoa(random.IntN(20))
	r, code := model[id], api.CodeSuccess
	switch {
	case r == nil, r.status != "success" && r.status != "partial_refunded" && r.status != "fully_refunded":
		code = api.CodeParamInvalid
	case model[refund] != nil:
		code = api.CodeOrderUsed
	case r.refunded+amount > r.amount:
		code = api.CodeParamInvalid
	default:
		r.refunded += amount
		r.status = "partial_refunded"
		if r.refunded == r.amount {
			r.status = "fully_refunded"
		}
		model[refund] = &row{status: "success", amount: amount, refunded: amount, refund: true}
	}
	ask(t, g, api.ActionREFUND, object{"order_id": refund, "ori_order_id": id, "refund_amt": strconv.Itoa(amount)}, code)
	return "refund " + refund
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAtOnce uses one gateway from many sides, for the race detector, and
// counts: one of fifty creates an order, refunds never exceed the payment,
// every payment is called back.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := make(map[string]int)
	for range 50 {
		wg.Go(func() {
			r := post(t, g, seal(t, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY).with("order_id", "A1", "amount", "100", "call_back_url", s.URL)))
			mu.Lock()
			defer mu.Unlock()
			codes[r.Code]++
		})
	}
	wg.Wait()
	if codes["SUCCESS"] != 1 || codes["ORDER_USED"] != 49 || g.Effects("A1") != 1 || g.Attempts("A1") != 50 {
		t.Errorf("codes %v, %d effects, %d attempts", codes, g.Effects("A1"), g.Attempts("A1"))
	}
	var paid, refunded sync.Map
	for i := range 30 {
		wg.Go(func() {
			if g.Pay("A1") == nil {
				paid.Store(i, true)
			}
		})
		wg.Go(func() { _, _, _ = g.Orders(), g.Requests(), g.Deliveries("A1") })
	}
	wg.Wait()
	for i := range 30 {
		wg.Go(func() {
			r := post(t, g, seal(t, api.ActionREFUND, object{"order_id": "R" + strconv.Itoa(i), "ori_order_id": "A1", "refund_amt": "7"}))
			if r.Code == "SUCCESS" {
				refunded.Store(i, true)
			}
		})
	}
	wg.Wait()
	wait(t, g)
	if n := size(&paid); n != 1 || len(s.received()) != 1 {
		t.Errorf("paid %d times, %d callbacks", n, len(s.received()))
	}
	o, _ := g.Order("A1")
	if n := size(&refunded); n != 14 || o.Refunded != 98 {
		t.Errorf("%d refunds of 7 from 100, %d in all", n, o.Refunded)
	}
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestTLS(t *testing.T) {
	t.Parallel()
	g := ottpaytest.NewTLSGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	t.Cleanup(g.Close)
	ask(t, g, api.ActionACTIVEPAY, request(t, api.ActionACTIVEPAY), api.CodeSuccess)
	if r, err := new(http.Client).Get(g.URL); err == nil {
		r.Body.Close()
		t.Error("a client that does not know the certificate trusts it")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]ottpaytest.Config{
		"no merchant":       {SignKey: signKey},
		"no key":            {MerchantID: merchantID},
		"key with a blank":  {MerchantID: merchantID, SignKey: signKey + " "},
		"second has no key": {MerchantID: merchantID, SignKey: signKey, Merchants: map[string][]string{"x": {""}}},
	} {
		if g, err := ottpaytest.New(cfg); err == nil {
			g.Close()
			t.Errorf("%s: no error", name)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			ottpaytest.NewGateway(cfg)
		}()
	}
}

// TestSnapshots changes what it was given and looks again.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	order(t, g, "A1", "https://shop.example/")
	g.Orders()[0].Amount = 1
	g.Requests()[0].Code = "changed"
	if o := g.Orders()[0]; o.Amount != field.Cents(100) || g.Requests()[0].Code != "SUCCESS" {
		t.Errorf("%+v", o)
	}
}

// TestRequestsAreBounded posts more than are kept.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i := range 10_001 {
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strconv.Itoa(i))))
	}
	kept := g.Requests()
	if n := len(kept); n > 10_000 || n < 1000 || string(kept[n-1].Body) != "10000" {
		t.Errorf("%d requests, the last %q", n, kept[n-1].Body)
	}
}

// FuzzServeHTTP posts what it likes, bare and sealed, and wants an answer that
// reads.
func FuzzServeHTTP(f *testing.F) {
	for _, info := range api.Actions() {
		schema, _ := api.LookupSchema(info.Request)
		f.Add(string(info.Name), info.Version, []byte(schema.Example), true)
	}
	f.Add("H5PAY", "2.0", []byte(`{"order_id":{"a":[1,null]}}`), true)
	f.Add("STATUS_QUERY", "1.0", []byte(`{"order_id":1e5,"order_id":""}`), true)
	f.Add("", "", []byte(`{"action":"H5PAY","data":"AAAA","md5":""}`), false)
	k, err := envelope.NewKey(signKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, action, version string, body []byte, sealed bool) {
		g, err := ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey, Clock: ottpaytest.NewManualClock(noon), Callbacks: roundTripper(toLoopback)})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if sealed {
			s, err := k.Seal(body)
			if err != nil {
				return
			}
			if body, err = json.Marshal(envelope.Request{Action: action, Version: version, MerchantID: merchantID, Sealed: s}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			w := httptest.NewRecorder()
			g.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
			a, err := envelope.ReadAnswer(w.Body.Bytes())
			if err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			class := api.Code(a.Code).Class()
			if class != api.ClassSuccess && class != api.ClassPending {
				continue
			}
			p, err := k.Open(a.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := api.LookupAction(action)
			schema, _ := api.LookupSchema(info.Response)
			if err := schema.Check(p.JSON); err != nil {
				t.Fatalf("%v: %s", err, p.JSON)
			}
		}
		for _, o := range g.Orders() {
			_ = g.Pay(o.ID)
		}
	})
}
