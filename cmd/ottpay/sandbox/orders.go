package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// maxPage is how many rows one answer holds at most.
const maxPage = 1000

func (s *server) orders(w http.ResponseWriter, r *http.Request) error {
	q := &query{r: r}
	limit := q.number("limit", 50)
	find := ottpaytest.Query{
		Merchant: q.text("merchant"), Status: api.OrderStatus(q.text("status")), Action: api.Action(q.text("action")), Text: q.text("q"),
		Unacknowledged: q.flag("unacknowledged"), Before: q.number("after", 0), Limit: int(min(max(limit, 1), maxPage)),
	}
	if q.err != nil {
		return q.err
	}
	orders, total := s.g.List(find)
	out := struct {
		Orders []ottpaytest.Order `json:"orders"`
		Total  int                `json:"total"`
		// After is what the next page's after is; absent on the last page.
		After uint64 `json:"after,omitempty"`
	}{Orders: orders, Total: total}
	if out.Orders == nil {
		out.Orders = []ottpaytest.Order{}
	}
	if len(orders) == find.Limit {
		out.After = orders[len(orders)-1].Seq
	}
	return answer(w, http.StatusOK, out)
}

// deliveryView is one callback.
type deliveryView struct {
	Message      uint64    `json:"message"`
	Merchant     string    `json:"merchant"`
	Order        string    `json:"order"`
	URL          string    `json:"url"`
	Kind         string    `json:"kind"`
	Fault        string    `json:"fault,omitempty"`
	Try          int       `json:"try,omitempty"`
	At           time.Time `json:"at"`
	Pending      bool      `json:"pending,omitempty"`
	Status       int       `json:"status,omitempty"`
	Answer       string    `json:"answer,omitempty"`
	MS           int64     `json:"ms"`
	Acknowledged bool      `json:"acknowledged"`
	Blocked      bool      `json:"blocked,omitempty"`
	Why          string    `json:"why,omitempty"`
}

func viewDelivery(d ottpaytest.Delivery) deliveryView {
	v := deliveryView{
		Message: d.Seq, Merchant: d.MerchantID, Order: d.OrderID, URL: d.URL, Kind: string(d.Kind), Fault: string(d.Fault), Try: d.Try,
		At: d.At, Pending: d.Pending, Status: d.Status, Answer: strings.ToValidUTF8(d.Body, "\ufffd"), MS: d.MS,
		Acknowledged: d.Acknowledged(), Blocked: d.Blocked(),
	}
	if d.Err != nil {
		v.Why = d.Why()
	}
	return v
}

func viewDeliveries(all []ottpaytest.Delivery) []deliveryView {
	out := make([]deliveryView, 0, len(all))
	for _, d := range all {
		out = append(out, viewDelivery(d))
	}
	return out
}

// orderView is an order with everything about it.
type orderView struct {
	order      ottpaytest.Order
	Attempts   int            `json:"attempts"`
	Deliveries []deliveryView `json:"deliveries"`
}

// MarshalJSON writes the order's members, then the others.
func (v orderView) MarshalJSON() ([]byte, error) {
	type rest orderView
	order, err := json.Marshal(v.order)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(rest(v))
	if err != nil {
		return nil, err
	}
	return append(append(order[:len(order)-1], ','), more[1:]...), nil
}

func (s *server) orderView(m ottpaytest.Merchant, id string) (orderView, error) {
	o, ok := m.Order(id)
	if !ok {
		return orderView{}, s.noOrder(m, id)
	}
	return orderView{order: o, Attempts: m.Attempts(id), Deliveries: viewDeliveries(m.Deliveries(id))}, nil
}

// noOrder is the error for an unknown id. It names one that is like it.
func (s *server) noOrder(m ottpaytest.Merchant, id string) error {
	p := problem{Status: http.StatusNotFound, Code: "no-order", Detail: "there is no order " + id + " of " + m.ID()}
	if _, ok := s.g.MerchantInfo(m.ID()); !ok {
		return ottpaytest.ErrNoMerchant
	}
	if orders, _ := s.g.List(ottpaytest.Query{Merchant: m.ID(), Limit: 1}); len(orders) > 0 {
		p.Hint = "the last one is " + orders[0].ID
	} else {
		p.Hint = "this merchant has no orders"
	}
	return p
}

func (s *server) order(w http.ResponseWriter, r *http.Request) error {
	v, err := s.orderView(s.g.Merchant(r.PathValue("merchant")), r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, v)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) error {
	m, err := s.knownMerchant(r)
	if err != nil {
		return err
	}
	var in struct {
		Action     string          `json:"action"`
		Version    string          `json:"version"`
		TerminalNo string          `json:"terminal_no"`
		OperatorID string          `json:"operator_id"`
		Data       json.RawMessage `json:"data"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if in.Action == "" || len(in.Data) == 0 {
		return problem{Status: http.StatusBadRequest, Code: "request", Detail: "action and data are needed", Hint: `{"action":"H5PAY","data":{"order_id":"A1",…}}`}
	}
	out, err := m.Submit(r.Context(), ottpaytest.Submission{
		Action: api.Action(in.Action), Version: in.Version, TerminalNo: in.TerminalNo, OperatorID: in.OperatorID,
		Data: in.Data, Base: s.baseURL(r),
	})
	if err != nil {
		if out.Message == 0 {
			return err
		}
		return problem{
			Status: http.StatusBadGateway, Code: "no-answer", Detail: strings.TrimPrefix(err.Error(), "ottpaytest: "),
			Hint: "a fault is armed for it: GET " + apiPath + "/faults", Message: out.Message,
		}
	}
	v := struct {
		Code    string            `json:"code"`
		Text    string            `json:"text"`
		Message uint64            `json:"message"`
		Data    json.RawMessage   `json:"data,omitempty"`
		Order   *ottpaytest.Order `json:"order,omitempty"`
	}{Code: string(out.Code), Text: out.Text, Message: out.Message, Data: out.Data}
	switch out.Code.Class() {
	case api.ClassSuccess, api.ClassPending:
	case api.ClassDuplicate:
		return problem{Status: http.StatusConflict, Code: "state", Detail: string(out.Code) + ": " + out.Text, Message: out.Message}
	default:
		return problem{
			Status: http.StatusUnprocessableEntity, Code: "document", Detail: string(out.Code) + ": " + out.Text,
			Member: out.Member, Rule: out.Rule, Message: out.Message,
		}
	}
	status := http.StatusOK
	if o, ok := m.Order(out.Order); ok {
		v.Order = &o
		if info, ok := api.LookupAction(in.Action); !ok || info.Kind == api.KindEffect {
			status = http.StatusCreated
			w.Header().Set("Location", apiPath+"/orders/"+m.ID()+"/"+o.ID)
		}
	}
	return answer(w, status, v)
}

// acted is the answer to what was done to an order.
type acted struct {
	Order orderView `json:"order"`
	// Delivery is the callback that followed: with Prefer: wait, or of a call that
	// sends one.
	Delivery   *deliveryView     `json:"delivery,omitempty"`
	Deliveries []deliveryView    `json:"deliveries,omitempty"`
	Refund     *ottpaytest.Order `json:"refund,omitempty"`
}

func (s *server) pay(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Method string                     `json:"method"`
		Tip    int64                      `json:"tip_cents"`
		Extra  map[string]json.RawMessage `json:"extra"`
		Silent bool                       `json:"silent"`
		Fault  string                     `json:"fault"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if in.Tip < 0 {
		return negative("tip_cents")
	}
	p := ottpaytest.Payment{Method: in.Method, Tip: field.Cents(in.Tip), Silent: in.Silent, Extra: make(map[string]any)}
	for name, value := range in.Extra {
		p.Extra[name] = value
		if string(value) == "null" {
			p.Extra[name] = nil
		}
	}
	return s.turn(w, r, func(m ottpaytest.Merchant, id string) error {
		if in.Fault == "" {
			return m.Pay(id, p)
		}
		fault, err := callbackFault(in.Fault)
		if err != nil {
			return err
		}
		armed, err := s.g.Arm(ottpaytest.Fault{Callback: fault, Merchant: m.ID(), Order: m.Payment(id), By: "api"})
		if err != nil {
			return err
		}
		if err := m.Pay(id, p); err != nil {
			s.g.Disarm(armed)
			return err
		}
		return nil
	})
}

// callbackFault reads the name of a callback's fault.
func callbackFault(name string) (ottpaytest.CallbackFault, error) {
	name = strings.TrimPrefix(name, string(ottpaytest.ToShop)+":")
	if _, ok := ottpaytest.LookupFault(string(ottpaytest.ToShop) + ":" + name); !ok {
		return "", unknownFault(string(ottpaytest.ToShop) + ":" + name)
	}
	return ottpaytest.CallbackFault(name), nil
}

func (s *server) decline(w http.ResponseWriter, r *http.Request) error {
	return s.turnPlain(w, r, ottpaytest.Merchant.Decline)
}

func (s *server) expire(w http.ResponseWriter, r *http.Request) error {
	return s.turnPlain(w, r, ottpaytest.Merchant.Expire)
}

func (s *server) capture(w http.ResponseWriter, r *http.Request) error {
	return s.turnPlain(w, r, ottpaytest.Merchant.Capture)
}

func (s *server) turnPlain(w http.ResponseWriter, r *http.Request, do func(ottpaytest.Merchant, string) error) error {
	if err := read(r, &struct{}{}); err != nil {
		return err
	}
	return s.turn(w, r, do)
}

// turn changes an order and, with Prefer: wait, waits for the answer to its
// callback.
func (s *server) turn(w http.ResponseWriter, r *http.Request, do func(ottpaytest.Merchant, string) error) error {
	m, err := s.knownMerchant(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if _, ok := m.Order(id); !ok {
		return s.noOrder(m, id)
	}
	before := s.g.Seq()
	if err := do(m, id); err != nil {
		p := asProblem(err)
		if o, ok := m.Order(id); ok && p.Code == "state" {
			p.State = string(o.Status)
		}
		return p
	}
	var out acted
	if wait := preferred(r); wait > 0 {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		out.Delivery = s.awaitDelivery(r.Context(), m, id, before, wait)
	}
	if out.Order, err = s.orderView(m, id); err != nil {
		return err
	}
	return answer(w, http.StatusOK, out)
}

// preferred is how long the client wants to wait: Prefer: wait=5.
func preferred(r *http.Request) time.Duration {
	for _, line := range r.Header.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			if text, ok := strings.CutPrefix(strings.TrimSpace(part), "wait="); ok {
				if n, err := strconv.Atoi(strings.Trim(text, `"`)); err == nil && n > 0 {
					return min(time.Duration(n)*time.Second, maxWait)
				}
			}
		}
	}
	return 0
}

// awaitDelivery waits for the answer to a callback, and returns nil if none is
// under way or time is over.
func (s *server) awaitDelivery(ctx context.Context, m ottpaytest.Merchant, id string, after uint64, wait time.Duration) *deliveryView {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		changed := s.g.Changed()
		quiet := m.Quiet(id)
		all := m.Deliveries(id)
		for _, d := range all {
			if d.Seq > after && !d.Pending {
				v := viewDelivery(d)
				return &v
			}
		}
		if quiet {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *server) refund(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Amount *int64 `json:"amount_cents"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	m, err := s.knownMerchant(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	o, ok := m.Order(id)
	if !ok {
		return s.noOrder(m, id)
	}
	amount := o.Total() - o.Refunded
	if in.Amount != nil {
		if *in.Amount <= 0 {
			return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "amount_cents must be more than nothing", Member: "amount_cents", Rule: "min"}
		}
		amount = field.Cents(*in.Amount)
	}
	made, err := m.Refund(id, amount)
	if err != nil {
		p := asProblem(err)
		p.State = string(o.Status)
		return p
	}
	out := acted{Refund: &made}
	if out.Order, err = s.orderView(m, id); err != nil {
		return err
	}
	return answer(w, http.StatusOK, out)
}

// maxTimes bounds what one call sends.
const maxTimes = 100

func (s *server) redeliver(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Fault string `json:"fault"`
		Times int    `json:"times"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	return s.again(w, r, in.Times, func(m ottpaytest.Merchant, id string) (ottpaytest.Delivery, error) {
		if in.Fault == "" {
			return m.Redeliver(id)
		}
		fault, err := callbackFault(in.Fault)
		if err != nil {
			return ottpaytest.Delivery{}, err
		}
		return m.Tamper(id, fault)
	})
}

func (s *server) replay(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Times int `json:"times"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	return s.again(w, r, in.Times, ottpaytest.Merchant.Replay)
}

// again sends callbacks of an order and returns what came of them.
func (s *server) again(w http.ResponseWriter, r *http.Request, times int, send func(ottpaytest.Merchant, string) (ottpaytest.Delivery, error)) error {
	if times < 0 || times > maxTimes {
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: fmt.Sprintf("times is from 1 to %d", maxTimes), Member: "times", Rule: "max"}
	}
	m, err := s.knownMerchant(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	o, ok := m.Order(id)
	if !ok {
		return s.noOrder(m, id)
	}
	before := s.g.Seq()
	for range max(times, 1) {
		if _, err := send(m, id); err != nil {
			p := asProblem(err)
			if p.Code == "state" {
				p.State = string(o.Status)
			}
			return p
		}
		if r.Context().Err() != nil {
			break
		}
	}
	var out acted
	if out.Order, err = s.orderView(m, id); err != nil {
		return err
	}
	for _, d := range out.Order.Deliveries {
		if d.Message > before {
			out.Deliveries = append(out.Deliveries, d)
			out.Delivery = &d
		}
	}
	return answer(w, http.StatusOK, out)
}

func (s *server) deliveries(w http.ResponseWriter, r *http.Request) error {
	q := &query{r: r}
	merchant, order, limit := q.text("merchant"), q.text("order"), int(min(q.number("limit", 50), maxPage))
	outcome := q.text("outcome")
	if q.err != nil {
		return q.err
	}
	out := []deliveryView{}
	for _, d := range s.g.AllDeliveries(merchant, 0) {
		v := viewDelivery(d)
		if order != "" && d.OrderID != order || !v.is(outcome) {
			continue
		}
		if out = append(out, v); len(out) == limit {
			break
		}
	}
	return answer(w, http.StatusOK, struct {
		Deliveries []deliveryView `json:"deliveries"`
	}{out})
}

// is reports whether a delivery has an outcome of the filter.
func (v deliveryView) is(outcome string) bool {
	switch outcome {
	case "acknowledged":
		return v.Acknowledged
	case "refused":
		return v.Status != 0 && !v.Acknowledged
	case "blocked":
		return v.Blocked
	case "no-answer":
		return v.Status == 0 && !v.Pending && !v.Blocked
	}
	return true
}
