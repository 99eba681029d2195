package crosstest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// docs/sandbox-faults.md is what TestCallbackFaults and TestAnswerFaults saw.
// `go test ./crosstest -run Faults -faults.write` writes it.
var writeFaults = flag.Bool("faults.write", false, "write docs/sandbox-faults.md")

const (
	faultShop   = "TS00000001"
	faultKey    = "6698851A525C9433"
	faultOldKey = "0011223344556677"
	faultAmount = field.Cents(1999)
)

// faultyShop is a shop on this module: the client makes orders, the webhook
// receives.
type faultyShop struct {
	g      *ottpaytest.Gateway
	client *ottpay.Client
	server *httptest.Server
	burst  atomic.Bool // several copies at once are expected

	mu      sync.Mutex
	orders  map[string]bool // that the shop has written
	reasons []string
	handled map[string]int
}

// newFaultyShop starts a gateway and a shop. If ask is set, the shop asks the
// gateway before it believes a callback.
func newFaultyShop(t *testing.T, ask bool, pauses []time.Duration, encrypted bool, texts ...string) *faultyShop {
	t.Helper()
	if texts == nil {
		texts = []string{faultKey}
	}
	s := &faultyShop{orders: make(map[string]bool), handled: make(map[string]int)}
	start := ottpaytest.NewGateway
	if encrypted {
		start = ottpaytest.NewTLSGateway
	}
	s.g = start(ottpaytest.Config{
		MerchantID: faultShop, SignKey: faultKey, Merchants: map[string][]string{faultShop: {faultOldKey}},
		Redelivery: pauses, CallbackTimeout: 15 * time.Second,
	})
	t.Cleanup(s.g.Close)
	keys := middleware.StaticKeys{}
	for _, text := range texts {
		key, err := envelope.NewKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys[faultShop] = append(keys[faultShop], key)
	}
	var err error
	s.client, err = ottpay.New(ottpay.Config{
		MerchantID: faultShop, OperatorID: "0000000001", Keys: keys, BaseURL: s.g.URL, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler),
		Poll: ottpay.Backoff{First: 5 * time.Millisecond, Max: 20 * time.Millisecond}, Attempts: 1, Base: s.g.Client().Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := middleware.Config{
		Keys: keys, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Logger: slog.New(slog.DiscardHandler), AskWindow: -1,
		Expect: func(_ context.Context, id string) (field.Cents, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.orders[id] {
				return 0, errors.New("no such order")
			}
			return faultAmount, nil
		},
		OnRefused: func(_ context.Context, r *middleware.Refusal) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reasons = append(s.reasons, string(r.Reason))
		},
	}
	if ask {
		cfg.Asker = s.client
	}
	cfg.InsecureTrustCallback = !ask
	w, err := ottpay.NewWebhook(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(middleware.Handle(w, func(_ context.Context, n *api.Notification) error {
		for deadline := time.Now().Add(5 * time.Second); s.burst.Load() && s.refused() == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // at work until another copy has met it there
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.handled[n.OrderID]++
		return nil
	}))
	t.Cleanup(s.server.Close)
	return s
}

// order makes an order and writes it down afterwards, which is the wrong way
// round on purpose: a callback may be early.
func (s *faultyShop) order(t *testing.T, id string) {
	t.Helper()
	_, err := s.client.H5Pay(t.Context(), s.request(id))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[id] = true
}

func (s *faultyShop) request(id string) *api.H5PayRequest {
	return &api.H5PayRequest{
		OrderID: id, Amount: faultAmount, CurrencyType: "CAD", BizType: "WECHATPAY", SubmitType: "form", CallBackURL: s.server.URL + "/ottpay",
	}
}

// meet pays an order whose callback the fault is for, and returns what the
// shop did.
func (s *faultyShop) meet(t *testing.T, f ottpaytest.CallbackFault) ottpaytest.Expectation {
	t.Helper()
	s.burst.Store(f == ottpaytest.CallbackBurst)
	if _, err := s.g.Arm(ottpaytest.Fault{Callback: f, Order: "FAULTYORDER01"}); err != nil {
		t.Fatal(err)
	}
	s.order(t, "FAULTYORDER01")
	if f != ottpaytest.CallbackEarly {
		if err := s.g.Pay("FAULTYORDER01"); err != nil {
			t.Fatal(err)
		}
	}
	if f == ottpaytest.CallbackReorder {
		s.order(t, "FAULTYORDER02")
		if err := s.g.Pay("FAULTYORDER02"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f == ottpaytest.CallbackCut { // the shop need not have noticed yet
		for deadline := time.Now().Add(15 * time.Second); s.refused() == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	s.server.Close() // what it still does is done, then
	out := ottpaytest.Expectation{}
	for _, d := range s.g.Deliveries("FAULTYORDER01") {
		out.Statuses = append(out.Statuses, d.Status)
		if d.Err != nil && f == ottpaytest.CallbackLostAnswer {
			out.Statuses[len(out.Statuses)-1] = 200 // it was given, and lost
		}
	}
	if f == ottpaytest.CallbackReorder {
		other := s.g.Deliveries("FAULTYORDER02")
		if first := s.g.Deliveries("FAULTYORDER01"); len(first) != 1 || len(other) != 1 || first[0].Seq < other[0].Seq {
			t.Errorf("not overtaken: %v, %v", first, other)
		}
	}
	if f == ottpaytest.CallbackBurst {
		slices.Sort(out.Statuses)
		if len(out.Statuses) != 8 {
			t.Errorf("%d copies", len(out.Statuses))
		}
		out.Statuses = slices.Compact(out.Statuses)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reason := range s.reasons {
		if !slices.Contains(out.Reasons, reason) {
			out.Reasons = append(out.Reasons, reason)
		}
	}
	out.Handled = s.handled["FAULTYORDER01"]
	return out
}

func (s *faultyShop) refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reasons)
}

// word is what a client's error is, in one word.
func word(err error) string {
	var e *ottpay.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return err.Error()
	case e.NotSent:
		return "not-sent"
	case e.Reason == middleware.ReasonOtherOrder:
		return "another-order"
	case errors.Is(err, ottpay.ErrPending):
		return "pending"
	case errors.Is(err, ottpay.ErrDuplicate):
		return "duplicate"
	case errors.Is(err, ottpay.ErrFailed):
		return "failed"
	case errors.Is(err, ottpay.ErrCaller):
		return "caller"
	case e.Reason == "" && e.Code != "":
		return "code"
	case e.Reason == "":
		return "no-code"
	}
	return string(e.Reason)
}

// answered lets a client meet a fault of an answer and returns what it made of
// it.
func answered(t *testing.T, f ottpaytest.Fault, encrypted bool) ottpaytest.Expectation {
	t.Helper()
	s := newFaultyShop(t, true, []time.Duration{}, encrypted)
	f.Order = "FAULTYORDER01"
	if f.Kind == ottpaytest.FaultTLS || f.Kind == ottpaytest.FaultRefuse {
		f.Order = ""
	}
	if _, err := s.g.Arm(f); err != nil {
		t.Fatal(err)
	}
	got := ottpaytest.Expectation{}
	made, err := s.client.H5Pay(t.Context(), s.request("FAULTYORDER01"))
	got.Error, got.Unknown = word(err), errors.Is(err, ottpay.ErrUnknownOutcome)
	if n := s.g.Attempts("FAULTYORDER01"); n > 1 {
		t.Errorf("sent %d times", n)
	}
	if err != nil && errors.Is(err, ottpay.ErrNotSent) == errors.Is(err, ottpay.ErrUnknownOutcome) && got.Unknown {
		t.Errorf("both not sent and unknown: %v", err)
	}
	if err == nil {
		if made.Pending() {
			got.Then = "pending"
		}
		return got
	}
	if !got.Unknown {
		return got
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	if !f.Before {
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	}
	defer cancel()
	found, _ := s.client.Resolve(ctx, err)
	got.Then = found.Verdict.String()
	return got
}

// queried lets a webhook and a client meet a fault of the answer to a query of a
// paid order.
func queried(t *testing.T, kind ottpaytest.FaultKind) ottpaytest.Expectation {
	t.Helper()
	s := newFaultyShop(t, true, []time.Duration{}, false)
	s.order(t, "FAULTYORDER01")
	times := 1
	if kind == ottpaytest.FaultQueryLag || kind == ottpaytest.FaultQueryFlip {
		times = 3
	}
	g := s.g
	if _, err := g.Arm(ottpaytest.Fault{Kind: kind, Times: times}); err != nil {
		t.Fatal(err)
	}
	if times == 1 { // the webhook asks
		if err := g.Pay("FAULTYORDER01"); err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.server.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		return ottpaytest.Expectation{Then: strings.Join(s.reasons, " ")}
	}
	if err := g.Merchant(faultShop).Pay("FAULTYORDER01", ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	before := len(g.Requests())
	p, err := s.client.AwaitPayment(t.Context(), "FAULTYORDER01", ottpay.AwaitConfig{})
	if err != nil || !p.Paid() {
		return ottpaytest.Expectation{Error: fmt.Sprint(err), Then: string(p.Status)}
	}
	return ottpaytest.Expectation{Then: fmt.Sprint("paid after ", len(g.Requests())-before, " queries")}
}

// codes are the cases of the fault code.
var codes = []struct {
	code   api.Code
	expect ottpaytest.Expectation
}{
	{api.CodeTimeout, ottpaytest.Expectation{Error: "code", Unknown: true, Then: "happened"}},
	{api.CodeSystemError, ottpaytest.Expectation{Error: "code", Unknown: true, Then: "happened"}},
	{api.CodeDbError, ottpaytest.Expectation{Error: "code", Unknown: true, Then: "happened"}},
	{"NEVER_HEARD_OF", ottpaytest.Expectation{Error: "code", Unknown: true, Then: "happened"}},
	{api.CodeProcessing, ottpaytest.Expectation{Error: "pending", Unknown: true, Then: "happened"}},
	{api.CodeOrderUsed, ottpaytest.Expectation{Error: "duplicate"}},
	{api.CodeOrderPaid, ottpaytest.Expectation{Error: "duplicate"}},
	{api.CodeFail, ottpaytest.Expectation{Error: "failed"}},
	{api.CodeParamError, ottpaytest.Expectation{Error: "caller"}},
	{api.CodePwdIncorrect, ottpaytest.Expectation{Error: "caller"}},
}

// TestCallbackFaults lets a shop meet each fault of callbacks and compares with
// the catalogue.
func TestCallbackFaults(t *testing.T) {
	t.Parallel()
	for _, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToShop {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			var pauses []time.Duration
			if f.Group == "delivery" {
				pauses = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond}
			} else {
				pauses = []time.Duration{}
			}
			name := ottpaytest.CallbackFault(f.Name)
			texts := []string{faultKey}
			if name == ottpaytest.CallbackOldKey {
				texts = append(texts, faultOldKey)
			}
			t.Run("asks", func(t *testing.T) {
				t.Parallel()
				check(t, "asks", newFaultyShop(t, true, pauses, false, texts...).meet(t, name), f.Expect)
			})
			want := f.Expect
			if f.Trusting != nil {
				want = *f.Trusting
			}
			t.Run("trusts", func(t *testing.T) {
				t.Parallel()
				check(t, "trusts", newFaultyShop(t, false, pauses, false, texts...).meet(t, name), want)
			})
		})
	}
}

func check(t *testing.T, how string, got, want ottpaytest.Expectation) {
	t.Helper()
	if len(want.Reasons) > 1 && len(got.Reasons) == 1 && slices.Contains(want.Reasons, got.Reasons[0]) {
		got.Reasons = want.Reasons
	}
	if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
		t.Errorf("a shop that %s: %s, want %s", how, a, b)
	}
}

// TestAnswerFaults lets a client meet each fault of answers and compares with
// the catalogue.
func TestAnswerFaults(t *testing.T) {
	t.Parallel()
	for _, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToClient {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			kind := ottpaytest.FaultKind(f.Name)
			if f.Group == "query" {
				check(t, "queries", queried(t, kind), f.Expect)
				return
			}
			fault := ottpaytest.Fault{Kind: kind}
			if kind == ottpaytest.FaultDelay {
				fault.Delay = 5 * time.Second
			}
			check(t, "asks", answered(t, fault, kind == ottpaytest.FaultTLS), f.Expect)
			// If the request has taken no effect, it cannot be known.
			if f.Expect.Unknown && kind != ottpaytest.FaultDelay {
				fault.Before = true
				want := f.Expect
				want.Then = ottpay.VerdictUnknown.String()
				got := answered(t, fault, false)
				switch kind { // they take an answer with data
				case ottpaytest.FaultAnotherOrder, ottpaytest.FaultWrongDigest, ottpaytest.FaultWrongKey, ottpaytest.FaultReflect:
					want.Error, got.Error = "", ""
				}
				check(t, "asks in vain", got, want)
			}
		})
	}
	for _, c := range codes {
		t.Run("code="+string(c.code), func(t *testing.T) {
			t.Parallel()
			check(t, "asks", answered(t, ottpaytest.Fault{Kind: ottpaytest.FaultCode, Code: c.code}, false), c.expect)
		})
	}
}

const faultsPage = "../docs/sandbox-faults.md"

// TestFaultsPage compares docs/sandbox-faults.md with the catalogue, which the
// tests above have proven.
func TestFaultsPage(t *testing.T) {
	t.Parallel()
	want := page()
	if *writeFaults {
		if err := os.WriteFile(faultsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(faultsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the catalogue says: go test ./crosstest -run TestFaultsPage -faults.write", faultsPage)
	}
	callbacks, answers := 0, 0
	for _, f := range ottpaytest.Faults() {
		switch f.Direction {
		case ottpaytest.ToShop:
			callbacks++
		case ottpaytest.ToClient:
			answers++
		}
	}
	if callbacks != 56 || answers != 33 {
		t.Errorf("%d faults of callbacks, %d of answers", callbacks, answers)
	}
}

func page() string {
	var b strings.Builder
	b.WriteString(`# Faults

<!-- Written by go test ./crosstest -run TestFaultsPage -faults.write. Change ottpaytest/catalogue.go in place of it. -->

A fault is something that goes wrong on purpose, in the sandbox or in a test with ` + "`ottpaytest.Gateway`" + `.
Faults have names. A name is unique in its direction: where both directions have it, write ` + "`callback:drop` or `answer:drop`" + `.
Faults are counted, not rolled: one that is armed takes effect on the next cases that fit, once or as often as it says.

Each row says what the gateway does, what a correct shop in any language does, and what this module does.
Tests let this module meet every fault and compare.
The webhook has ` + "`Config.Expect`" + ` set, a store in memory, and asks the gateway before it believes a callback.
Where a webhook that does not ask answers differently, the row says so.

## Callbacks

"Handler" is how often the shop's handler runs.
A word in the column "Reason" is one of ` + "`middleware.Reason`" + `; it is for the shop's log, never for the sender.
`)
	group := ""
	for _, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToShop {
			continue
		}
		if f.Group != group {
			group = f.Group
			b.WriteString("\n### " + strings.ToUpper(group[:1]) + group[1:] + "\n\n| Name | What is sent | A correct shop | Answer | Reason | Handler |\n| --- | --- | --- | --- | --- | --- |\n")
		}
		cells := []string{"`" + f.Name + "`" + parameters(f), f.Sentence, f.Correct, statuses(f.Expect), reasons(f.Expect), times(f.Expect.Handled)}
		if o := f.Trusting; o != nil {
			cells[3] += "; without asking " + statuses(*o)
			cells[4] = "without asking " + reasons(*o)
			cells[5] += "; without asking " + times(o.Handled)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	b.WriteString(`
## Answers

Unless it says otherwise, the request has taken effect all the same.
With ` + "`before`" + ` it has not, and then nothing can be found out by asking.
The client never sends a payment or a refund a second time: the gateway sees one attempt for each row.
`)
	group = ""
	for _, f := range ottpaytest.Faults() {
		if f.Direction != ottpaytest.ToClient {
			continue
		}
		if f.Group != group {
			group = f.Group
			b.WriteString("\n### " + strings.ToUpper(group[:1]) + group[1:] + "\n\n| Name | What is answered | A correct client | Error | Asking finds |\n| --- | --- | --- | --- | --- |\n")
		}
		b.WriteString("| " + strings.Join([]string{"`" + f.Name + "`" + parameters(f), f.Sentence, f.Correct, errorWord(f.Expect), then(f.Expect)}, " | ") + " |\n")
	}
	b.WriteString("\nOf `code`, by its parameter:\n\n| Code | Error | Asking finds |\n| --- | --- | --- |\n")
	for _, c := range codes {
		b.WriteString("| `" + string(c.code) + "` | " + errorWord(c.expect) + " | " + then(c.expect) + " |\n")
	}
	return b.String()
}

func parameters(f ottpaytest.FaultInfo) string {
	if len(f.Parameters) == 0 {
		return ""
	}
	return " with `" + strings.Join(f.Parameters, "`, `") + "`"
}

func statuses(e ottpaytest.Expectation) string {
	var out []string
	for _, code := range e.Statuses {
		if code == 0 {
			out = append(out, "none")
		} else {
			out = append(out, fmt.Sprint(code))
		}
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, ", ")
}

func reasons(e ottpaytest.Expectation) string {
	if len(e.Reasons) == 0 {
		return ""
	}
	return "`" + strings.Join(e.Reasons, "` or `") + "`"
}

func times(n int) string {
	switch n {
	case 0:
		return "no"
	case 1:
		return "once"
	}
	return fmt.Sprint(n, " times")
}

func errorWord(e ottpaytest.Expectation) string {
	switch {
	case e.Error == "":
		return "none"
	case e.Unknown:
		return e.Error + ", `ErrUnknownOutcome`"
	case e.Error == "not-sent":
		return "`ErrNotSent`"
	}
	return e.Error
}

func then(e ottpaytest.Expectation) string {
	if e.Then == "" {
		return "–"
	}
	return e.Then
}
