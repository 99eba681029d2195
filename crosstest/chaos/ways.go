package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// way is how a shop repeats a payment that has failed.
type way func(w *worker, ctx context.Context, limited context.Context, e errand, p point, id string)

// ways are all of them; nil does not repeat.
func ways() []way { return []way{nil, nil, (*worker).around, (*worker).below, (*worker).over} }

// hooks are what the configuration brings, and what goes wrong with it.
type hooks struct {
	keys middleware.StaticKeys

	mu      sync.Mutex
	trouble string
}

// troubles are what goes wrong. The first one is nothing.
func troubles() []string {
	return []string{"", "limiter", "limiter panics", "keys fail", "no keys", "keys panic"}
}

func (h *hooks) set(trouble string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble = trouble
}

func (h *hooks) now() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.trouble
}

func (h *hooks) Wait(context.Context) error {
	switch h.now() {
	case "limiter":
		return errors.New("full")
	case "limiter panics":
		panic("limiter")
	}
	return nil
}

func (h *hooks) Keys(ctx context.Context, merchantID string) ([]envelope.Key, error) {
	switch h.now() {
	case "keys fail":
		return nil, io.ErrUnexpectedEOF
	case "no keys":
		return nil, nil
	case "keys panic":
		panic("keys")
	}
	return h.keys.Keys(ctx, merchantID)
}

// around repeats the client's call under the context of one payment, with the
// same order id or one that the client makes up each time, while something goes
// wrong with what the configuration brings.
func (w *worker) around(ctx context.Context, limited context.Context, e errand, p point, id string) {
	if w.rand.IntN(2) == 0 {
		id = ""
	}
	once := middleware.SendOnce(limited)
	var made string
	var err error
	for range 3 {
		if made, _, err = e.call(once, w.client, id); err == nil {
			break
		}
		w.hooks.set(pick(w.rand, troubles()))
	}
	w.hooks.set("")
	w.repeated(ctx, e, p, made, err)
}

// below has a retry library between the Transport and the network.
func (w *worker) below(ctx context.Context, limited context.Context, e errand, p point, id string) {
	made, _, err := e.call(limited, pick(w.rand, w.under), id)
	w.repeated(ctx, e, p, made, err)
}

// repeated compares what the client says of a call that was repeated with the
// gateway's book.
func (w *worker) repeated(ctx context.Context, e errand, p point, made string, err error) {
	worked := w.front.worked()
	id := made
	var failed *ottpay.Error
	if errors.As(err, &failed) {
		id = failed.OrderID
	}
	happened := w.front.gateway.Effects(id) > 0
	w.effects += min(worked, 1)
	if worked > 1 || w.front.gateway.Effects(id) > 1 {
		w.duplicates++
	}
	unknown, notSent := errors.Is(err, ottpay.ErrUnknownOutcome), errors.Is(err, ottpay.ErrNotSent)
	switch {
	case err == nil && !happened:
		w.misjudge("%s, %s, repeated: no error and no effect", e.action, p)
	case notSent && worked > 0:
		w.misjudge("%s, %s, repeated: not sent, and it was: %v", e.action, p, err)
	case err != nil && !notSent && !unknown && p != refusal:
		w.misjudge("%s, %s, repeated: neither unknown nor not sent: %v", e.action, p, err)
	case worked > 0 && !happened:
		w.misjudge("%s, %s, repeated: the error names order %q, and another one took effect: %v", e.action, p, id, err)
	}
	if notSent {
		w.notSent++
	}
	if unknown {
		w.unknown++
	}
	if err != nil {
		w.resolve(ctx, e, p, err, happened)
	}
}

// over has a retry library above the Transport, as a program has that speaks
// plain JSON. Its calls are a payment of a scanned code, and a refund.
func (w *worker) over(ctx context.Context, limited context.Context, e errand, p point, id string) {
	data := fmt.Sprintf(`{"order_id":%q,"operator_id":%q,"amount":"100","auth_code":"101234567890123456","biz_type":"WECHATPAY"}`, id, operator)
	e.action = api.ActionPASSIVEPAY
	if w.rand.IntN(2) == 0 {
		e.action = api.ActionREFUND
		data = fmt.Sprintf(`{"order_id":%q,"ori_order_id":%q,"refund_amt":"1"}`, id, w.paid)
	}
	if p == earlier && !w.front.answered(e.action) {
		p = none
		w.front.set(nil)
	}
	body := fmt.Sprintf(`{"action":%q,"version":"1.0","merchant_id":%q,"data":%s}`, string(e.action), merchant, data)
	answer, err := post(middleware.SendOnce(limited), pick(w.rand, w.above), w.front.server.URL+"/processV2", []byte(body))
	worked, effects := w.front.worked(), w.front.gateway.Effects(id)
	w.effects += min(effects, 1)
	if worked > 1 || effects > 1 {
		w.duplicates++
	}
	var opened struct {
		Code     string `json:"rsp_code"`
		Verified bool   `json:"verified"`
		Data     struct {
			OrderID string `json:"order_id"`
		} `json:"data"`
	}
	good := err == nil && json.Unmarshal(answer, &opened) == nil && opened.Code == "SUCCESS" && opened.Verified && opened.Data.OrderID == id
	switch {
	case good && effects != 1:
		w.misjudge("%s, %s, retried above: success and %d effects", e.action, p, effects)
	case errors.Is(err, middleware.ErrNotSent) && effects > 0:
		w.misjudge("%s, %s, retried above: not sent, and it was: %v", e.action, p, err)
	case good:
		return
	}
	w.front.set(nil)
	w.naps = 6
	var res ottpay.Resolution
	if e.action == api.ActionREFUND {
		res, err = w.client.ResolveRefund(ctx, ottpay.RefundIntent{RefundID: id, OrderID: w.paid, Amount: 1})
	} else {
		res, err = w.client.ResolveOrder(ctx, e.action, id)
	}
	w.verdict(e, p, res, err, effects > 0)
}

// post sends body and returns the answer.
func post(ctx context.Context, c *http.Client, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
