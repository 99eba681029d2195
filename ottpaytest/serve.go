package ottpaytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

const (
	maxRequest = 1 << 20
	maxKept    = 10_000 // requests
)

// Request is one request that reached the gateway.
type Request struct {
	At         time.Time
	Header     http.Header
	Body       []byte // as it came
	Action     string
	Version    string
	MerchantID string
	TerminalNo string
	OperatorID string
	Payload    json.RawMessage // decrypted; nil if it did not open
	OrderID    string          // that the payload names
	Code       string          // that was answered, or would have been but for the Fault
	Fault      FaultKind       // that was injected; "" for none
}

// Requests returns the requests so far, oldest first; of very many, the last
// ones.
func (g *Gateway) Requests() []Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

// ServeHTTP answers envelopes on every path but two: under /pay/ a payer finds
// the page of an order, and a path that ends in /inAppPay takes that call's
// plain JSON.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, pagePath) {
		g.page(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	seen := Request{At: g.cfg.Now(), Header: r.Header.Clone(), Body: body}
	read := g.open
	if strings.HasSuffix(r.URL.Path, inAppPath) {
		read = g.openInApp
	}
	a, f := g.answer(&seen, read, base(g.URL, r))
	seen.Code, seen.Fault = a.code, f.Kind
	g.record(seen)
	g.write(w, r, a, f, body)
}

// record keeps a request.
func (g *Gateway) record(seen Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.requests) == maxKept {
		g.requests = slices.Delete(g.requests, 0, maxKept/10)
	}
	g.requests = append(g.requests, seen)
}

// base is where the payer's page is.
func base(url string, r *http.Request) string {
	switch {
	case url != "":
		return url
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// sealedAnswer is what the gateway has to say, before a fault gets at it.
type sealedAnswer struct {
	code, message, merchant string
	key                     envelope.Key
	payload                 []byte // nil: nothing is sealed
	plain                   bool   // payload is the whole answer, without an envelope
}

// answer makes a request take effect and says what the gateway answers. read
// reads, decrypts and judges it.
func (g *Gateway) answer(seen *Request, read func(*Request) (asked, envelope.Key, *refusal), base string) (sealedAnswer, Fault) {
	a, key, refused := read(seen)
	if refused != nil {
		return g.refuse(a, key, refused), g.fault(seen)
	}
	f := g.fault(seen)
	if f.before() {
		code := api.CodeSystemError
		return sealedAnswer{code: string(code), message: code.Message(), merchant: a.merchant}, f
	}

	g.mu.Lock()
	r, refused := g.apply(a)
	var done record
	if r != nil {
		if f.Kind == FaultProcessing && a.action.Kind == api.KindEffect && a.action.Effect != api.EffectRefund {
			r.Status, r.Finished = api.StatusProcessing, time.Time{}
		}
		done = *r
	}
	now := g.cfg.Now()
	g.mu.Unlock()

	if refused != nil {
		return g.refuse(a, key, refused), f
	}
	t := teller{g: g, asked: a, row: &done, now: now, base: base, code: api.CodeSuccess}
	switch {
	case r == nil:
		t.row = nil
	case f.Kind == FaultAnotherOrder:
		done.ID = another(done.ID)
	}
	if f.Kind == FaultProcessing || a.action.Kind == api.KindEffect && done.Status == api.StatusProcessing {
		t.code = api.CodeProcessing
	}
	return sealedAnswer{
		code: string(t.code), message: t.code.Message(), merchant: a.merchant,
		key: key, payload: t.tell(), plain: key.IsZero(),
	}, f
}

// open reads, decrypts and judges a request.
func (g *Gateway) open(seen *Request) (asked, envelope.Key, *refusal) {
	e, err := envelope.ReadRequest(seen.Body)
	if err != nil {
		return asked{}, envelope.Key{}, &refusal{api.CodeParamError, "the envelope is malformed: " + envelope.Reason(err)}
	}
	seen.Action, seen.Version, seen.MerchantID = e.Action, e.Version, e.MerchantID
	seen.TerminalNo, seen.OperatorID = e.TerminalNo, e.OperatorID

	// An unknown merchant and a wrong key are told apart by nobody.
	key, payload, ok := g.decrypt(e)
	if !ok {
		return asked{}, envelope.Key{}, &refusal{api.CodePwdIncorrect, ""}
	}
	seen.Payload = payload
	a := asked{merchant: e.MerchantID, inStore: e.TerminalNo != ""}
	if a.action, ok = api.LookupAction(e.Action); !ok {
		return a, key, &refusal{api.CodeParamError, "unknown action"}
	}
	if e.Version != a.action.Version && !slices.Contains(g.cfg.Versions[a.action.Name], e.Version) {
		return a, key, &refusal{api.CodeParamError, "version"}
	}
	if !a.action.Terminal && (e.TerminalNo != "" || e.OperatorID != "") {
		return a, key, &refusal{api.CodeParamError, "terminal_no and operator_id are for actions in store"}
	}
	if a.schema, ok = api.LookupSchema(a.action.Request); !ok {
		return a, key, &refusal{api.CodeSystemError, "the document does not describe the request"}
	}
	if a.reply, ok = api.LookupSchema(a.action.Response); !ok {
		return a, key, &refusal{api.CodeSystemError, "the document does not describe the answer"}
	}
	refused := a.judge(seen, payload)
	return a, key, refused
}

// judge checks a decrypted request against its schema and takes its members.
func (a *asked) judge(seen *Request, payload []byte) *refusal {
	if err := a.schema.Check(payload); err != nil {
		return &refusal{api.CodeParamError, broken(err)}
	}
	if err := json.Unmarshal(payload, &a.members); err != nil {
		return &refusal{api.CodeParamError, "not an object"}
	}
	seen.OrderID = a.orderID()
	if inner, _ := a.role(api.RoleMerchant); inner != "" && a.merchant != "" && inner != a.merchant {
		return &refusal{api.CodeParamInvalid, "merchant_id"}
	}
	return nil
}

// broken says which member breaks which rule; a SchemaError has no values.
func broken(err error) string {
	var e *api.SchemaError
	if !errors.As(err, &e) {
		return "data"
	}
	return strings.TrimSpace(e.Member + " " + e.Rule)
}

// decrypt opens a request with one of the merchant's keys. The gateway knows
// its own canonical form alone.
func (g *Gateway) decrypt(e envelope.Request) (envelope.Key, []byte, bool) {
	for _, key := range g.keys[e.MerchantID] {
		if p, err := key.Open(e.Sealed); err == nil && p.Form == envelope.FormJava {
			return key, p.JSON, true
		}
	}
	return envelope.Key{}, nil, false
}

// refuse answers with a failure. With QuirkBareFailures switched off, it is
// sealed if the request opened.
func (g *Gateway) refuse(a asked, key envelope.Key, r *refusal) sealedAnswer {
	s := sealedAnswer{code: string(r.code), message: r.code.Message(), merchant: a.merchant}
	if r.detail != "" {
		s.message += ": " + r.detail
	}
	if !key.IsZero() && g.cfg.Without.has(QuirkBareFailures) {
		s.key = key
		s.payload = []byte(`{"order_id":""}`)
		if a.schema != nil && a.orderID() != "" {
			s.payload = object([]pair{{"order_id", quoted(a.orderID())}})
		}
	}
	return s
}

// seal writes an answer or a callback.
func (g *Gateway) seal(a sealedAnswer) ([]byte, error) {
	quirks := AllQuirks &^ g.cfg.Without
	if a.plain {
		return quirks.escape(a.payload), nil
	}
	out := []pair{{"rsp_code", quoted(a.code)}, {"rsp_msg", quoted(a.message)}}
	if a.merchant != "" {
		out = append(out, pair{"merchant_id", quoted(a.merchant)})
	}
	if a.payload != nil {
		sealed, err := a.key.Seal(quirks.escape(a.payload))
		if err != nil {
			return nil, fmt.Errorf("ottpaytest: %w", err)
		}
		sealed = quirks.wrap(sealed)
		out = append(out, pair{"data", quoted(sealed.Data)}, pair{"md5", quoted(sealed.MD5)})
	}
	return quirks.escape(object(out)), nil
}

// write sends an answer, or what a fault makes of it.
func (g *Gateway) write(w http.ResponseWriter, r *http.Request, a sealedAnswer, f Fault, request []byte) {
	if f.Delay > 0 {
		select {
		case <-g.cfg.After(f.Delay):
		case <-r.Context().Done():
		case <-g.ctx.Done():
		}
	}
	if f.Kind != "" && g.fail(w, r, a, f, request) {
		return
	}
	body, err := g.seal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mime.FormatMediaType("application/json", map[string]string{"charset": "utf-8"}))
	_, _ = io.Copy(w, bytes.NewReader(body))
}
