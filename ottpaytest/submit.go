package ottpaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Submission is a request that is made without cryptography.
type Submission struct {
	// Action is the action, or ActionInAppPay.
	Action api.Action
	// Version is that of the envelope. If empty, the one that the action's page
	// names.
	Version string
	// TerminalNo and OperatorID stand outside of the data, for actions in store.
	TerminalNo, OperatorID string
	// Data is the object inside, as JSON.
	Data json.RawMessage
	// Base is where the payer's pages are that the answer links to, such as
	// http://127.0.0.1:6698. If empty, Gateway.URL.
	Base string
}

// Outcome is what came of a Submission.
type Outcome struct {
	// Message is the number of the request's message.
	Message uint64
	// Order is the order's id, as the request or the answer names it; "" if
	// there is none.
	Order string
	// Status is that of the HTTP answer, 0 if a fault left none.
	Status int
	// Code is rsp_code.
	Code api.Code
	// Text is rsp_msg.
	Text string
	// Data is the decrypted answer, nil if there is none or it does not open.
	Data json.RawMessage
	// Member and Rule say what of the document the request breaks, "" if it
	// breaks nothing.
	Member, Rule string
}

// Submit makes a request as the merchant would send it, sealed with the first
// key, and returns the answer decrypted. It takes the way of requests on the
// wire: it is judged, recorded and met by faults in the same way. The error
// matches [ErrNoMerchant], or Data is not an object, or there was no answer to
// be read.
func (m Merchant) Submit(ctx context.Context, s Submission) (Outcome, error) {
	g := m.g
	g.mu.Lock()
	keys := g.keysOf(m.id)
	g.mu.Unlock()
	if len(keys) == 0 {
		return Outcome{}, ErrNoMerchant
	}
	path, body := "/processV2", []byte(s.Data)
	if s.Action == ActionInAppPay {
		path = inAppPath
	} else {
		sealed, err := keys[0].Seal(s.Data)
		if err != nil {
			return Outcome{}, fmt.Errorf("ottpaytest: the data is not a JSON object: %w", err)
		}
		version := s.Version
		if info, ok := api.LookupAction(string(s.Action)); ok && version == "" {
			version = info.Version
		}
		body, err = json.Marshal(envelope.Request{
			Action: string(s.Action), Version: version, MerchantID: m.id,
			TerminalNo: s.TerminalNo, OperatorID: s.OperatorID, Sealed: sealed,
		})
		if err != nil {
			return Outcome{}, fmt.Errorf("ottpaytest: %w", err)
		}
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	seq := g.serveInside(w, r, s.Base)
	return g.outcome(seq, w)
}

// serveInside is ServeHTTP for a request that comes from within. It returns the
// number of its message. A fault that ends the connection leaves the recorder as
// it is.
func (g *Gateway) serveInside(w http.ResponseWriter, r *http.Request, base string) (seq uint64) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // it is that very value
			panic(p)
		}
	}()
	g.serve(w, r, base, &seq)
	return seq
}

func (g *Gateway) outcome(seq uint64, w *httptest.ResponseRecorder) (Outcome, error) {
	m, ok := g.Message(seq)
	if !ok {
		return Outcome{}, errors.New("ottpaytest: the request is no longer kept")
	}
	o := Outcome{Message: seq, Order: m.Order, Status: m.Status, Member: m.Member, Rule: m.Rule}
	if m.Status == 0 || m.Err != "" {
		o.Status = 0
		return o, fmt.Errorf("ottpaytest: there was no answer: %s", m.Err)
	}
	if m.Action == string(ActionInAppPay) && m.Code == string(api.CodeSuccess) {
		o.Code, o.Data = api.CodeSuccess, m.Answer // without the secret
		return o, nil
	}
	e, err := envelope.ReadAnswer(w.Body.Bytes())
	if err != nil {
		return o, fmt.Errorf("ottpaytest: the answer is no envelope: %w", err)
	}
	o.Code, o.Text, o.Data = api.Code(e.Code), e.Message, m.AnswerPlaintext
	if o.Order == "" {
		o.Order = g.orderOf(m)
	}
	return o, nil
}

// orderOf returns the id of the order that a request without one made.
func (g *Gateway) orderOf(m Message) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.list) - 1; i >= 0 && g.list[i].Seq > m.Seq; i-- {
		if g.list[i].Seq == m.Seq+1 {
			return g.list[i].ID
		}
	}
	return ""
}
