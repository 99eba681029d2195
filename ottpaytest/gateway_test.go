package ottpaytest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const (
	merchantID = "TS00000001"
	signKey    = "6698851A525C9433"
)

var noon = time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)

// newGateway starts a gateway whose clock stands still and whose pauses pass
// at once.
func newGateway(t *testing.T, change ...func(*ottpaytest.Config)) *ottpaytest.Gateway {
	t.Helper()
	cfg := ottpaytest.Config{
		MerchantID: merchantID,
		SignKey:    signKey,
		Callbacks:  roundTripper(toLoopback),
	}
	cfg.SetNow(func() time.Time { return noon })
	cfg.SetAfter(atOnce)
	for _, f := range change {
		f(&cfg)
	}
	g := ottpaytest.NewGateway(cfg)
	t.Cleanup(g.Close)
	return g
}

// toLoopback sends nothing off the machine: the document's examples are called
// back at shop.example.
func toLoopback(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() != "127.0.0.1" {
		return nil, errors.New("not a loopback address")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// arm lets something go wrong.
func arm(t *testing.T, g *ottpaytest.Gateway, f ottpaytest.Fault) {
	t.Helper()
	if _, err := g.Arm(f); err != nil {
		t.Fatal(err)
	}
}

func atOnce(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- noon
	return c
}

func key(t *testing.T, text string) envelope.Key {
	t.Helper()
	k, err := envelope.NewKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// object is what stands in data.
type object map[string]any

// text returns a member as text, whatever its kind.
func (o object) text(name string) string {
	switch v := o[name].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// with returns a copy with other members; nil takes one out.
func (o object) with(pairs ...any) object {
	out := make(object)
	for k, v := range o {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(out, pairs[i].(string))
		} else {
			out[pairs[i].(string)] = pairs[i+1]
		}
	}
	return out
}

// request returns the example of an action's request as the document has it.
func request(t *testing.T, action api.Action) object {
	t.Helper()
	info, ok := api.LookupAction(string(action))
	if !ok {
		t.Fatalf("no action %s", action)
	}
	schema, ok := api.LookupSchema(info.Request)
	if !ok {
		t.Fatalf("no schema %s", info.Request)
	}
	var o object
	if err := json.Unmarshal([]byte(schema.Example), &o); err != nil {
		t.Fatal(err)
	}
	if m, ok := schema.WithRole(api.RoleMerchant); ok {
		o[m.Name] = merchantID
	}
	return o
}

// reply is an answer, read and opened.
type reply struct {
	envelope.Response
	body  string
	plain string
	form  envelope.Form
	data  object
}

// seal writes a request's envelope.
func seal(t *testing.T, action api.Action, data any) envelope.Request {
	t.Helper()
	plain, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key(t, signKey).Seal(plain)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := api.LookupAction(string(action))
	return envelope.Request{Action: string(action), Version: info.Version, MerchantID: merchantID, Sealed: sealed}
}

// post sends an envelope and reads the answer.
func post(t *testing.T, g *ottpaytest.Gateway, e envelope.Request) reply {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, send(t, g, body))
}

func send(t *testing.T, g *ottpaytest.Gateway, body []byte) string {
	t.Helper()
	r, err := g.Client().Post(g.URL, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", r.StatusCode, text)
	}
	return string(text)
}

func read(t *testing.T, body string) reply {
	t.Helper()
	e, err := envelope.ReadAnswer([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out := reply{Response: e, body: body}
	if e.Data == "" {
		return out
	}
	p, err := key(t, signKey).Open(e.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	out.plain, out.form = string(p.JSON), p.Form
	d := json.NewDecoder(bytes.NewReader(p.JSON))
	d.UseNumber()
	if err := d.Decode(&out.data); err != nil {
		t.Fatal(err)
	}
	return out
}

// ask sends a request and wants its answer to have this code and, if that is
// SUCCESS or PROCESSING, to fit the schema.
func ask(t *testing.T, g *ottpaytest.Gateway, action api.Action, data object, code api.Code) reply {
	t.Helper()
	r := post(t, g, seal(t, action, data))
	if r.Code != string(code) {
		t.Fatalf("%s: code %s (%s), want %s", action, r.Code, r.Message, code)
	}
	if c := code.Class(); c != api.ClassSuccess && c != api.ClassPending {
		return r
	}
	info, _ := api.LookupAction(string(action))
	schema, _ := api.LookupSchema(info.Response)
	if err := schema.Check([]byte(r.plain)); err != nil {
		t.Fatalf("%s: %v: %s", action, err, r.plain)
	}
	return r
}

// shop is a merchant's server that keeps what it is sent.
type shop struct {
	*httptest.Server
	mu       sync.Mutex
	bodies   []string
	statuses []int // answers to come; 200 once they are used up
}

func newShop(t *testing.T, statuses ...int) *shop {
	t.Helper()
	s := &shop{statuses: statuses}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(body))
	status := http.StatusOK
	if len(s.statuses) > 0 {
		status, s.statuses = s.statuses[0], s.statuses[1:]
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "SUCCESS")
}

func (s *shop) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

func wait(t *testing.T, g *ottpaytest.Gateway) {
	t.Helper()
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// notified opens a callback.
func notified(t *testing.T, body string) reply {
	t.Helper()
	if _, err := envelope.ReadResponse([]byte(body)); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return read(t, body)
}

func TestPayment(t *testing.T) {
	t.Parallel()
	g, s := newGateway(t), newShop(t)
	order := request(t, api.ActionMAPPPAY).with("order_id", "A1", "amount", "1250", "app_id", "wxOurOwnApp", "call_back_url", s.URL+"/ottpay")

	r := ask(t, g, api.ActionMAPPPAY, order, api.CodeSuccess)
	if r.data.text("order_id") != "A1" || r.data.text("merchant_id") != merchantID || r.data["amount"] != json.Number("1250") {
		t.Errorf("answer %s", r.plain)
	}
	var payInfo map[string]string
	if err := json.Unmarshal([]byte(r.data.text("payInfo")), &payInfo); err != nil {
		t.Fatal(err)
	}
	if payInfo["appId"] != order["app_id"] || payInfo["timeStamp"] != "2025030407" || !strings.HasPrefix(payInfo["packageStr"], "prepay_id=wx") {
		t.Errorf("payInfo %v", payInfo)
	}
	query := func(id, want string) reply {
		t.Helper()
		q := ask(t, g, api.ActionSTATUS_QUERY, object{"order_id": id}, api.CodeSuccess)
		if q.data.text("order_status") != want || q.data.text("order_id") != id {
			t.Fatalf("%s is %s, want %s", id, q.plain, want)
		}
		return q
	}
	query("A1", "init")

	if err := g.Pay("A1"); err != nil {
		t.Fatal(err)
	}
	wait(t, g)
	bodies := s.received()
	if len(bodies) != 1 {
		t.Fatalf("%d callbacks, want 1", len(bodies))
	}
	n := notified(t, bodies[0])
	if n.data["amount"] != "1250" || n.data["order_id"] != "A1" || n.data["finish_time"] != "20250304200000" || n.data.text("bizpay_order_id") == "" {
		t.Errorf("callback %s", n.plain)
	}
	query("A1", "success")

	refund := object{"order_id": "R1", "ori_order_id": "A1", "refund_amt": "1000"}
	ask(t, g, api.ActionREFUND, refund, api.CodeSuccess)
	query("A1", "partial_refunded")
	if q := query("R1", "success"); q.data["refund_fee"] != json.Number("1000") {
		t.Errorf("refund %s", q.plain)
	}
	ask(t, g, api.ActionREFUND, refund.with("order_id", "R2", "refund_amt", "251"), api.CodeParamInvalid)
	ask(t, g, api.ActionREFUND, refund.with("refund_amt", "250"), api.CodeOrderUsed)
	ask(t, g, api.ActionREFUND, refund.with("order_id", "R2", "refund_amt", "250"), api.CodeSuccess)
	query("A1", "fully_refunded")
	ask(t, g, api.ActionREFUND, refund.with("order_id", "R3", "refund_amt", "1"), api.CodeParamInvalid)
	if r := ask(t, g, api.ActionREFUND, refund.with("order_id", "R3", "ori_order_id", "R1", "refund_amt", "1"), api.CodeParamInvalid); !strings.Contains(r.Message, "a refund") {
		t.Errorf("refund of a refund: %s", r.Message)
	}

	o, ok := g.Order("A1")
	if !ok || o.Refunded != 1250 || o.Effects != 1 || g.Attempts("A1") != 1 || g.Attempts("R1") != 2 {
		t.Errorf("order %+v, %d attempts", o, g.Attempts("A1"))
	}
}

// postRaw is post without opening the answer.
func postRaw(t *testing.T, g *ottpaytest.Gateway, e envelope.Request) envelope.Response {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := envelope.ReadAnswer([]byte(send(t, g, body)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
