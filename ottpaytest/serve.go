package ottpaytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

const maxRequest = 1 << 20

// ServeHTTP answers envelopes on every path but two: under /pay/ a payer finds
// the page of an order, and a path that ends in /inAppPay takes that call's
// plain JSON.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, pagePath) {
		g.page(w, r)
		return
	}
	var seq uint64
	g.serve(w, r, base(g.URL, r), &seq)
}

// serve answers an envelope and sets seq to the number of its message.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, base string, seq *uint64) {
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
	m := &message{method: r.Method, url: r.URL.Path, header: r.Header, body: slices.Clip(bytes.Clone(body))}
	read := g.open
	if strings.HasSuffix(r.URL.Path, inAppPath) {
		read = g.openInApp
	}
	if base == "" {
		base = g.URL
	}
	o := g.answer(m, read, base, r.URL.RequestURI())
	*seq = m.seq
	if o.early != nil {
		if next := g.attempt(g.ctx, o.early); next != nil {
			g.courier.send(next)
		}
	}
	o.send(g, w, r)
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
	quirks                  Quirk
}

// answer makes a request take effect, keeps it, and returns what goes back.
// read reads, decrypts and judges it.
func (g *Gateway) answer(m *message, read func(*message) (asked, envelope.Key, *refusal), base, uri string) outgoing {
	g.lock()
	defer g.unlock()
	m.at = g.now()
	a, key, refused := read(m)
	if refused != nil {
		m.lenient = nil
	}
	e := g.emit(Event{
		Type: EventRequestReceived, Merchant: m.merchant, Order: m.order, Action: api.Action(m.action),
		Currency: a.currency(), Lenient: m.lenient,
	})
	m.seq = e.Seq
	f, faultID := g.strike(ToClient, Fault{Merchant: m.merchant, Action: api.Action(m.action), Order: m.order}, g.fitsRequest(a, refused))
	s, made := g.effect(a, key, refused, f, base)
	if made != nil && m.order == "" {
		m.order = made.ID // which the gateway made up
	}
	o := g.outgoing(s, f, m.body, uri)
	o.lenient = m.lenient

	m.code, m.status, m.answer, m.err = s.code, o.status, clip(withoutSecret(o.body), maxKeptBody), o.note
	m.fault = f.name()
	m.ms = max(0, g.now().Sub(m.at).Milliseconds())
	if refused != nil {
		m.member, m.rule = refused.member, refused.rule
	}
	m.verdict = s.verdict(refused)
	m.intern(&g.intern)
	g.messages.add(m)
	g.changes.message(m, true)

	e = g.event(m.seq)
	e.Order = m.order
	e.Message, e.Code, e.Fault, e.FaultID, e.MS = m.seq, s.code, m.fault, faultID, m.ms
	if r := g.of(m.merchant, m.order); r != nil && a.schema != nil {
		e.Amount, e.Currency = r.Total(), r.Currency
	} else if a.schema != nil {
		e.Amount = a.cents(api.RoleAmount)
	}
	o.early = g.early(made)
	return o
}

// early pays the order that a request has just made and returns the callback
// that is sent before the answer, if a fault wants that. g.mu is held.
func (g *Gateway) early(r *row) *errand {
	if r == nil || !r.Open() || r.CallbackURL == "" {
		return nil
	}
	only := func(f Fault) bool { return f.Callback == CallbackEarly }
	f, _ := g.strike(ToShop, Fault{Merchant: r.MerchantID, Order: r.ID, Action: r.Action}, only)
	if f.Callback == "" {
		return nil
	}
	e, err := g.turned(r, Payment{}, "payer", g.pay)
	if err != nil || e == nil {
		return nil
	}
	e.fault = f
	return e
}

// event returns an event that was just emitted. g.mu is held.
func (g *Gateway) event(seq uint64) *Event {
	i, _ := slices.BinarySearchFunc(g.log.fresh, seq, bySeq)
	return &g.log.fresh[i]
}

// effect makes a judged request take effect. It returns what the gateway has to
// say about it, and the row that an effect made or changed. g.mu is held.
func (g *Gateway) effect(a asked, key envelope.Key, refused *refusal, f Fault, base string) (s sealedAnswer, made *row) {
	if refused != nil {
		return g.refuse(a, key, refused), nil
	}
	if f.before() {
		code := api.CodeSystemError
		return sealedAnswer{code: string(code), message: code.Message(), merchant: a.merchant, quirks: g.quirks()}, nil
	}
	r, no := g.apply(a, f)
	if no != nil {
		return g.refuse(a, key, no), nil
	}
	t := teller{g: g, asked: a, now: g.now(), base: base, code: api.CodeSuccess, quirks: f.quirks(g.quirks())}
	if r != nil {
		shown := *r
		f.show(&shown)
		t.row, t.made = &shown, parsed(g.asked.get(r.asked))
		if a.action.Kind == api.KindEffect {
			made = r
		}
	}
	if f.Kind == FaultProcessing || a.action.Kind == api.KindEffect && r != nil && r.Status == api.StatusProcessing {
		t.code = api.CodeProcessing
	}
	return sealedAnswer{
		code: string(t.code), message: t.code.Message(), merchant: a.merchant,
		key: key, payload: t.tell(), plain: key.IsZero(), quirks: t.quirks,
	}, made
}

func (g *Gateway) quirks() Quirk { return AllQuirks &^ g.settings.Without }

// verdict says in one sentence what the gateway made of a request.
func (s sealedAnswer) verdict(refused *refusal) string {
	switch {
	case refused != nil && refused.code == api.CodePwdIncorrect:
		return "does not open with a key of this merchant"
	case s.code == string(api.CodeSuccess):
		return "taken"
	case s.code == string(api.CodeProcessing):
		return "taken, and not decided yet"
	}
	return "refused: " + s.message
}

// open reads, decrypts and judges a request. g.mu is held.
func (g *Gateway) open(m *message) (asked, envelope.Key, *refusal) {
	e, err := envelope.ReadRequest(m.body)
	if err != nil {
		return asked{}, envelope.Key{}, refuse(api.CodeParamError, "the envelope is malformed: "+envelope.Reason(err))
	}
	e.MerchantID = g.intern.text(e.MerchantID) // these are parts of the body
	m.action, m.version, m.merchant = g.intern.text(e.Action), g.intern.text(e.Version), e.MerchantID
	m.terminal, m.oper = g.intern.text(e.TerminalNo), g.intern.text(e.OperatorID)

	// An unknown merchant and a wrong key get the same answer.
	key, payload, ok := g.decrypt(e)
	if !ok {
		return asked{}, envelope.Key{}, refuse(api.CodePwdIncorrect, "")
	}
	a := asked{merchant: e.MerchantID, inStore: e.TerminalNo != ""}
	if a.action, ok = api.LookupAction(e.Action); !ok {
		return a, key, refuse(api.CodeParamError, "unknown action")
	}
	var said []string
	if e.Version != a.action.Version && !slices.Contains(g.cfg.Versions[a.action.Name], e.Version) {
		said = append(said, "version "+e.Version+" in place of "+a.action.Version)
	}
	if !a.action.Terminal && (e.TerminalNo != "" || e.OperatorID != "") {
		said = append(said, "terminal_no or operator_id outside of the data")
	}
	switch {
	case len(said) == 0 || g.settings.Lenient:
		m.lenient = said
	case strings.HasPrefix(said[0], "version"):
		return a, key, breaks("version", "const")
	default:
		return a, key, refuse(api.CodeParamError, "terminal_no and operator_id are for actions in store")
	}
	if a.schema, ok = api.LookupSchema(a.action.Request); !ok {
		return a, key, refuse(api.CodeSystemError, "the document does not describe the request")
	}
	if a.reply, ok = api.LookupSchema(a.action.Response); !ok {
		return a, key, refuse(api.CodeSystemError, "the document does not describe the answer")
	}
	refused := a.judge(m, payload, g.settings.Lenient, g.newID)
	return a, key, refused
}

// judge checks a decrypted request against its schema and takes its members.
func (a *asked) judge(m *message, payload []byte, lenient bool, newID func() string) *refusal {
	payload, said, err := a.accept(payload, lenient, newID)
	if err != nil {
		return broken(err)
	}
	m.lenient = append(m.lenient, said...)
	if err := json.Unmarshal(payload, &a.members); err != nil {
		return refuse(api.CodeParamError, "not an object")
	}
	a.plain = payload
	a.id = a.named(a.action.OrderMember)
	m.order = a.id
	if inner, _ := a.role(api.RoleMerchant); inner != "" && a.merchant != "" && inner != a.merchant {
		return &refusal{code: api.CodeParamInvalid, detail: "merchant_id", member: "merchant_id", rule: "is not the envelope's"}
	}
	return nil
}

// broken says which member breaks which rule; a SchemaError has no values.
func broken(err error) *refusal {
	var e *api.SchemaError
	if !errors.As(err, &e) {
		return &refusal{code: api.CodeParamError, detail: "data"}
	}
	return breaks(e.Member, e.Rule)
}

// breaks is the refusal of a request whose member breaks a rule.
func breaks(member, rule string) *refusal {
	return &refusal{code: api.CodeParamError, detail: strings.TrimSpace(member + " " + rule), member: member, rule: rule}
}

// decrypt opens a request with one of the merchant's keys. The gateway knows
// its own canonical form alone. g.mu is held.
func (g *Gateway) decrypt(e envelope.Request) (envelope.Key, []byte, bool) {
	for _, key := range g.keysOf(e.MerchantID) {
		if p, err := key.Open(e.Sealed); err == nil && p.Form == envelope.FormJava {
			return key, p.JSON, true
		}
	}
	return envelope.Key{}, nil, false
}

// refuse answers with a failure. With QuirkBareFailures switched off, it is
// sealed if the request opened.
func (g *Gateway) refuse(a asked, key envelope.Key, r *refusal) sealedAnswer {
	s := sealedAnswer{code: string(r.code), message: r.code.Message(), merchant: a.merchant, quirks: g.quirks()}
	if r.detail != "" {
		s.message += ": " + r.detail
	}
	if !key.IsZero() && !s.quirks.has(QuirkBareFailures) {
		s.key = key
		s.payload = []byte(`{"order_id":""}`)
		if a.schema != nil && a.orderID() != "" {
			s.payload = object([]pair{{"order_id", quoted(a.orderID())}})
		}
	}
	return s
}

// seal writes an answer.
func (s sealedAnswer) seal() ([]byte, error) {
	if s.plain {
		return s.quirks.escape(s.payload), nil
	}
	out := []pair{{"rsp_code", quoted(s.code)}, {"rsp_msg", quoted(s.message)}}
	if s.merchant != "" {
		out = append(out, pair{"merchant_id", quoted(s.merchant)})
	}
	if s.payload != nil {
		sealed, err := s.key.Seal(s.quirks.escape(s.payload))
		if err != nil {
			return nil, fmt.Errorf("ottpaytest: %w", err)
		}
		sealed = s.quirks.wrap(sealed)
		out = append(out, pair{"data", quoted(sealed.Data)}, pair{"md5", quoted(sealed.MD5)})
	}
	return s.quirks.escape(object(out)), nil
}

// withoutSecret hides the value of wxapikey, a secret of the merchant's that
// inAppPay answers with. The client gets it; the log must not keep it.
func withoutSecret(body []byte) []byte {
	const name = `"wxapikey":"`
	before, after, found := bytes.Cut(body, []byte(name))
	end := bytes.IndexByte(after, '"')
	if !found || end < 0 {
		return body
	}
	return slices.Concat(before, []byte(name), []byte(hidden), after[end:])
}

func clip(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n:n]
	}
	return b
}
