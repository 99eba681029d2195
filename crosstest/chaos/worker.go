package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	merchant = "ON00004652"
	operator = "0000000696"
	signKey  = "6698851A525C9433"
	callback = "https://shop.example/ottpay"
	wealth   = 100_000_000 // what the payment is over that refunds come from, in cents
)

// worker makes its runs one after another, against a front of its own.
type worker struct {
	*tally
	rand   *rand.Rand
	front  *front
	base   *path
	client *ottpay.Client
	under  []*ottpay.Client // with retry libraries below the Transport
	above  []*http.Client   // retry libraries above the Transport
	hooks  *hooks
	sender *http.Client // in place of the client
	naps   int          // how often the client may still sleep
	prefix string
	ids    int
	paid   string // an order that refunds come from
}

func newWorker(number int, r *rand.Rand, other *library) (*worker, error) {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return nil, err
	}
	f, err := newFront(key, number%2 == 1)
	if err != nil {
		return nil, err
	}
	w := &worker{tally: newTally(), rand: r, front: f, base: f.path(), prefix: fmt.Sprintf("C%dX", number)}
	w.hooks = &hooks{keys: middleware.StaticKeys{merchant: {key}}}
	if w.client, err = w.newClient(w.base); err != nil {
		return nil, err
	}
	for _, lib := range libraries() {
		below, err := w.newClient(lib.wrap(w.base))
		if err != nil {
			return nil, err
		}
		w.under = append(w.under, below)
		w.above = append(w.above, &http.Client{Transport: lib.wrap(&middleware.Transport{Keys: w.hooks, Base: w.base})})
	}
	if other != nil {
		w.sender = &http.Client{Transport: other.wrap(w.base)}
	}
	return w, nil
}

func (w *worker) newClient(base http.RoundTripper) (*ottpay.Client, error) {
	return ottpay.New(ottpay.Config{
		Logger:     slog.New(slog.DiscardHandler),
		MerchantID: merchant,
		OperatorID: operator,
		Keys:       w.hooks,
		Limiter:    func(string, api.Kind) middleware.Limiter { return w.hooks },
		BaseURL:    w.front.server.URL + "/processV2",
		Endpoints:  map[api.Action]string{ottpay.ActionInAppPay: w.front.server.URL + "/inAppPay"},
		Base:       base,
		Sleep:      w.sleep,
	})
}

func (w *worker) close() {
	w.base.CloseIdleConnections()
	w.front.close()
}

// sleep takes no time, and ends the waiting after a few naps.
func (w *worker) sleep(ctx context.Context, _ time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.naps--; w.naps < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func (w *worker) newID() string {
	w.ids++
	return w.prefix + strconv.Itoa(w.ids)
}

// errand is one call.
type errand struct {
	action api.Action
	query  bool
	// call makes it, under the order id or, if that is empty, one that the
	// client makes up. made is the id that the answer names.
	call func(ctx context.Context, c *ottpay.Client, id string) (made string, pending bool, _ error)
}

// errands are all actions.
func (w *worker) errands() []errand {
	url := callback
	return []errand{
		effect(api.ActionMAPPPAY, func(ctx context.Context, c *ottpay.Client, id string) (*api.MiniProgramPayResponse, error) {
			return c.MiniProgramPay(ctx, &api.MiniProgramPayRequest{OrderID: id, Amount: 100, AppID: "wx1", OpenID: "o1", CallBackURL: url})
		}),
		effect(api.ActionH5PAY, func(ctx context.Context, c *ottpay.Client, id string) (*api.H5PayResponse, error) {
			return c.H5Pay(ctx, &api.H5PayRequest{OrderID: id, Amount: 100, CurrencyType: "CAD", CallBackURL: url})
		}),
		effect(api.ActionACTIVEPAY, func(ctx context.Context, c *ottpay.Client, id string) (*api.ActivePayResponse, error) {
			return c.ActivePay(ctx, &api.ActivePayRequest{OrderID: id, Amount: 100, BizType: "ALIPAY", CallBackURL: url})
		}),
		effect(api.ActionPASSIVEPAY, func(ctx context.Context, c *ottpay.Client, id string) (*api.PassivePayResponse, error) {
			return c.PassivePay(ctx, &api.PassivePayRequest{OrderID: id, Amount: 100, AuthCode: "101234567890123456", BizType: "WECHATPAY"})
		}),
		effect(api.ActionPREPAY_INIT, func(ctx context.Context, c *ottpay.Client, id string) (*api.PrepayInitResponse, error) {
			return c.PrepayInit(ctx, &api.PrepayInitRequest{PrepayOrderID: id, ShopID: "S1", SaleNum: "N1", Amount: 100, CurrencyType: "CAD", RedirectURL: url, CallBackURL: url, Duration: "600"})
		}),
		effect(api.ActionCC_PURCHASE, func(ctx context.Context, c *ottpay.Client, id string) (*api.CardPurchaseResponse, error) {
			return c.CardPurchase(ctx, &api.CardPurchaseRequest{OrderID: id, TxnTime: "20260102030405", TxnAmt: 100, FrontURL: url, BackURL: url, ChannelType: "UPAYONLINE", BizType: "securePay", CCChannelType: "web"})
		}),
		effect(api.ActionCC_PREAUTH, func(ctx context.Context, c *ottpay.Client, id string) (*api.CardPreauthResponse, error) {
			return c.CardPreauth(ctx, &api.CardPreauthRequest{OrderID: id, TxnTime: "20260102030405", TxnAmt: 100, FrontURL: url, BackURL: url, ChannelType: "UPAYONLINE", BizType: "securePay", CCChannelType: "web"})
		}),
		effect(api.ActionREFUND, func(ctx context.Context, c *ottpay.Client, id string) (*api.RefundResponse, error) {
			return c.Refund(ctx, &api.RefundRequest{OrderID: id, OriOrderID: w.paid, RefundAmt: 1})
		}),
		{action: ottpay.ActionInAppPay, call: func(ctx context.Context, c *ottpay.Client, id string) (string, bool, error) {
			resp, err := c.InAppPay(ctx, &ottpay.InAppPayRequest{OrderID: id, AppID: "wx1", Amount: 100, CallBackURL: url})
			if err != nil {
				return "", false, err
			}
			return resp.TradeNo, false, nil
		}},
		query(api.ActionSTATUS_QUERY, func(ctx context.Context, c *ottpay.Client) error {
			_, err := c.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: w.paid})
			return err
		}),
		query(api.ActionCC_QUERYPAY, func(ctx context.Context, c *ottpay.Client) error {
			_, err := c.CardQuery(ctx, &api.CardQueryRequest{OrderID: w.paid})
			return err
		}),
		query(api.ActionEX_RATE_QUERY, func(ctx context.Context, c *ottpay.Client) error {
			_, err := c.ExchangeRateQuery(ctx, &api.ExchangeRateQueryRequest{FeeType: "CAD"})
			return err
		}),
		query(api.ActionPREPAY_QUERY, func(ctx context.Context, c *ottpay.Client) error {
			_, err := c.PrepayQuery(ctx, &api.PrepayQueryRequest{PrepayOrderID: w.paid})
			return err
		}),
	}
}

// effect is the errand of a generated method that moves money.
func effect[T interface {
	Order() string
	Pending() bool
}](action api.Action, call func(context.Context, *ottpay.Client, string) (T, error)) errand {
	return errand{action: action, call: func(ctx context.Context, c *ottpay.Client, id string) (string, bool, error) {
		resp, err := call(ctx, c, id)
		if err != nil {
			return "", false, err
		}
		return resp.Order(), resp.Pending(), nil
	}}
}

// query is the errand of one that only asks.
func query(action api.Action, call func(context.Context, *ottpay.Client) error) errand {
	return errand{action: action, query: true, call: func(ctx context.Context, c *ottpay.Client, _ string) (string, bool, error) {
		return "", false, call(ctx, c)
	}}
}

// run is one call under one failure.
func (w *worker) run(ctx context.Context) {
	if w.ids%1000 == 0 {
		w.earn(ctx)
	}
	e, p := pick(w.rand, w.errands()), pick(w.rand, points())
	if p.enveloped() && e.action == ottpay.ActionInAppPay {
		p = none
	}
	switch {
	case p == anotherOrder && e.action == api.ActionEX_RATE_QUERY:
		p = none // it is about none
	case e.query && (p == earlier || p == row):
		p = none // which is the answer to this one, too
	case p == earlier && (!w.front.answered(e.action) || e.action == api.ActionPREPAY_INIT):
		p = none // the answer to PREPAY_INIT names no order
	}
	w.runs++
	w.byPoint[p]++
	id := w.newID()
	limited := newExpiring(ctx)
	defer limited.end(context.Canceled)
	w.front.set(limited.end, p)
	w.naps = 3
	if w.sender != nil {
		w.send(limited, id)
		return
	}
	if e.query {
		w.ask(limited, e, p)
		return
	}
	if p.replayed() && w.rand.IntN(2) == 0 {
		w.front.rest()
	}
	if repeat := pick(w.rand, ways()); repeat != nil {
		repeat(w, ctx, limited, e, p, id)
		return
	}
	given := id
	if w.rand.IntN(2) == 0 {
		given = ""
	}
	made, _, err := e.call(limited, w.client, given)
	w.judge(ctx, e, p, given, made, err)
}

// earn makes a payment that refunds come from.
func (w *worker) earn(ctx context.Context) {
	w.front.set(nil)
	id := w.newID()
	if _, err := w.client.PassivePay(ctx, &api.PassivePayRequest{OrderID: id, Amount: wealth, AuthCode: "101234567890123456", BizType: "WECHATPAY"}); err != nil {
		w.misjudge("a payment without a failure failed: %v", err)
		return
	}
	if _, err := w.client.PrepayInit(ctx, &api.PrepayInitRequest{PrepayOrderID: id, ShopID: "S1", SaleNum: "N1", Amount: 100, CurrencyType: "CAD", RedirectURL: callback, CallBackURL: callback, Duration: "600"}); err != nil {
		w.misjudge("a checkout without a failure failed: %v", err)
		return
	}
	w.paid = id
	if _, err := w.client.StatusQuery(ctx, &api.StatusQueryRequest{OrderID: id}); err != nil { // for the front to know its row
		w.misjudge("a query without a failure failed: %v", err)
	}
}

// ask puts a query, whose first attempt fails.
func (w *worker) ask(ctx context.Context, e errand, p point) {
	_, _, err := e.call(ctx, w.client, "")
	passing := false
	switch p {
	case none, connect, handshake, midRequest, afterWork, beforeHeaders, midBody, systemError, emptyBody, garbage, page, badGateway, unavailable:
		passing = true
	}
	var failed *ottpay.Error
	switch {
	case passing && err != nil:
		w.misjudge("%s, %s: a query was not put again: %v", e.action, p, err)
	case !passing && err == nil:
		w.misjudge("%s, %s: a query succeeded", e.action, p)
	case err != nil && !errors.As(err, &failed):
		w.misjudge("%s, %s: %T", e.action, p, err)
	}
}

// judge compares what the client says with the gateway's book.
func (w *worker) judge(ctx context.Context, e errand, p point, given, made string, err error) {
	id := made
	var failed *ottpay.Error
	if errors.As(err, &failed) {
		id = failed.OrderID
	}
	effects := w.front.gateway.Effects(id)
	w.effects += min(effects, 1)
	if worked := w.front.worked(); worked > 1 || effects > 1 {
		w.duplicates++
	}
	unknown, notSent := errors.Is(err, ottpay.ErrUnknownOutcome), errors.Is(err, ottpay.ErrNotSent)
	switch {
	case id == "" || given != "" && id != given:
		w.misjudge("%s, %s: order %q became %q: %v", e.action, p, given, id, err)
	case err == nil && (p != none || effects != 1):
		w.misjudge("%s, %s: no error and %d effects", e.action, p, effects)
	case err != nil && p == none:
		w.misjudge("%s: failed without a failure: %v", e.action, err)
	case err != nil && p.sent() && !unknown && p != refusal: // which the vendor's class says is to be queried
		w.misjudge("%s, %s: not called unknown: %v", e.action, p, err)
	case !p.sent() && !notSent, notSent && effects > 0:
		w.misjudge("%s, %s: sent or not: %v, %d effects", e.action, p, err, effects)
	}
	if notSent {
		w.notSent++
	}
	if unknown {
		w.unknown++
	}
	if err != nil {
		w.resolve(ctx, e, p, err, effects > 0)
	}
}

// resolve asks for the outcome, over a network that may fail as well.
func (w *worker) resolve(ctx context.Context, e errand, p point, failed error, happened bool) {
	trouble := []point{none}
	if w.rand.IntN(2) == 0 {
		trouble = []point{pick(w.rand, []point{midRequest, afterWork, midBody, wrongDigest, anotherOrder, noData, badGateway, redirect307, page})}
	}
	w.front.set(nil, trouble...)
	w.naps = 6
	w.hooks.set("")
	res, err := w.client.Resolve(ctx, failed)
	w.verdict(e, p, res, err, happened)
}

// verdict compares what Resolve says with the gateway's book.
func (w *worker) verdict(e errand, p point, res ottpay.Resolution, err error, happened bool) {
	switch {
	case res.Verdict == ottpay.VerdictHappened && happened, res.Verdict == ottpay.VerdictDidNotHappen && !happened:
		w.resolved++
	case res.Verdict == ottpay.VerdictUnknown && !happened && errors.Is(err, context.DeadlineExceeded):
		// The vendor has no code for an order that does not exist.
	default:
		w.resolvedWrong++
		if len(w.misjudged) < 10 {
			w.misjudged = append(w.misjudged, fmt.Sprintf("%s, %s: resolved as %v, which is wrong: %v", e.action, p, res.Verdict, err))
		}
	}
}
