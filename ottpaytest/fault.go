package ottpaytest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of fault. Unless it says otherwise, the request has taken effect
// all the same, which is what makes them dangerous; Fault.Before changes that.
const (
	// FaultDrop closes the connection instead of answering.
	FaultDrop FaultKind = "drop"
	// FaultTruncate closes it in the middle of the answer.
	FaultTruncate FaultKind = "truncate"
	// FaultWrongDigest answers with a digest that does not fit.
	FaultWrongDigest FaultKind = "wrong-digest"
	// FaultWrongKey seals the answer under a key that is not the merchant's.
	FaultWrongKey FaultKind = "wrong-key"
	// FaultHTML answers with a page and Fault.Status, 502 by default.
	FaultHTML FaultKind = "html"
	// FaultRedirect answers with Fault.Status, 307 by default, and sends the
	// client to where it came from.
	FaultRedirect FaultKind = "redirect"
	// FaultEmpty answers with status 200 and nothing.
	FaultEmpty FaultKind = "empty"
	// FaultNoData answers SUCCESS without data and md5.
	FaultNoData FaultKind = "no-data"
	// FaultAnotherOrder answers, sealed, about an order with another id.
	FaultAnotherOrder FaultKind = "another-order"
	// FaultReflect sends the request's own data and md5 back as the answer.
	FaultReflect FaultKind = "reflect"
	// FaultHuge answers with more than anybody should read.
	FaultHuge FaultKind = "huge"
	// FaultCode answers with Fault.Code, SYSTEM_ERROR by default, and no data.
	FaultCode FaultKind = "code"
	// FaultProcessing answers PROCESSING, sealed; an order that the request
	// made stands at processing until [Gateway.Pay] or [Gateway.Decline].
	FaultProcessing FaultKind = "processing"
	// FaultDelay only answers late, by Fault.Delay.
	FaultDelay FaultKind = "delay"
)

// Fault is something that goes wrong with an answer.
type Fault struct {
	// Kind is what goes wrong. If empty, FaultDelay.
	Kind FaultKind
	// Before: the request takes no effect.
	Before bool
	// Order, if not empty, spares the requests that do not name this order.
	Order string
	// Times is how many requests it befalls: 0 is one, a negative number is
	// all from now on.
	Times int
	// Delay is how long the gateway waits before it answers, by Config.After.
	Delay time.Duration
	// Status and Code are for the kinds that mention them.
	Status int
	Code   api.Code
}

// before reports whether the request is not to take effect.
func (f Fault) before() bool { return f.Kind != "" && f.Before && f.Kind != FaultDelay }

type fault struct {
	Fault
	action api.Action
	left   int
}

// Fail makes something go wrong with the next request for an action; any
// action, if it is empty. Faults are used up in the order in which they were
// given.
func (g *Gateway) Fail(action api.Action, f Fault) {
	if f.Kind == "" {
		f.Kind = FaultDelay
	}
	left := f.Times
	if left == 0 {
		left = 1
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, &fault{Fault: f, action: action, left: left})
}

// Heal takes back all faults that have not come to pass.
func (g *Gateway) Heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

// fault returns the fault that befalls a request, or a zero one.
func (g *Gateway) fault(seen *Request) Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.faults {
		if f.left == 0 || f.action != "" && string(f.action) != seen.Action || f.Order != "" && f.Order != seen.OrderID {
			continue
		}
		if f.left > 0 {
			f.left--
		}
		return f.Fault
	}
	return Fault{}
}

// fail answers as the fault wants, and reports whether it has: if not, the
// answer goes out as it is.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, a sealedAnswer, f Fault, request []byte) bool {
	switch f.Kind {
	case FaultDrop:
		panic(http.ErrAbortHandler) // how a handler of net/http hangs up
	case FaultHTML:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status(f, http.StatusBadGateway))
		_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\r\n")
		return true
	case FaultRedirect:
		w.Header().Set("Location", r.URL.RequestURI())
		w.WriteHeader(status(f, http.StatusTemporaryRedirect))
		return true
	case FaultEmpty:
		w.WriteHeader(http.StatusOK)
		return true
	case FaultHuge:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"rsp_code":"SUCCESS","rsp_msg":"`)
		_, _ = io.WriteString(w, strings.Repeat("s", 2<<20))
		_, _ = io.WriteString(w, `"}`)
		return true
	case FaultTruncate:
		body, err := g.seal(a)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2]) // less than announced: the server hangs up
		return true
	}
	body, ok := g.distort(a, f, request)
	if ok {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
	return ok
}

// distort returns an envelope that is not what it should be, for the kinds of
// fault that do that.
func (g *Gateway) distort(a sealedAnswer, f Fault, request []byte) ([]byte, bool) {
	switch f.Kind {
	case FaultNoData:
		a.payload = nil
		a.code, a.message = string(api.CodeSuccess), api.CodeSuccess.Message()
	case FaultCode:
		code := f.Code
		if code == "" {
			code = api.CodeSystemError
		}
		a = sealedAnswer{code: string(code), message: code.Message(), merchant: a.merchant}
	case FaultWrongKey:
		a.key = foreignKey()
	case FaultWrongDigest:
		body, err := g.wrongDigest(a)
		return body, err == nil && a.payload != nil && !a.plain
	case FaultReflect:
		e, err := envelope.ReadRequest(request)
		return respond(a.code, a.message, a.merchant, e.Sealed), err == nil
	default:
		return nil, false
	}
	body, err := g.seal(a)
	return body, err == nil
}

func status(f Fault, otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

// foreignKey is nobody's.
func foreignKey() envelope.Key {
	key, err := envelope.NewKey("0123456789ABCDEF-foreign")
	if err != nil {
		panic("ottpaytest: " + err.Error()) // a constant that is a key
	}
	return key
}

// wrongDigest seals an answer and exchanges two of its blocks, so that it
// decrypts to JSON and the digest alone can tell.
func (g *Gateway) wrongDigest(a sealedAnswer) ([]byte, error) {
	if a.payload == nil {
		return nil, nil
	}
	quirks := AllQuirks &^ g.cfg.Without
	sealed, err := a.key.Seal(quirks.escape(swappable(a.payload)))
	if err != nil {
		return nil, err
	}
	if sealed.Data, err = swapped(sealed.Data); err != nil {
		return nil, err
	}
	return wire(quirks, a.code, a.message, a.merchant, sealed), nil
}

func spoilDigest(md5 string) string {
	digit := "0"
	if md5[0] == '0' {
		digit = "1"
	}
	return digit + md5[1:]
}

// respond writes an envelope out of parts that need not fit.
func respond(code, message, merchant string, s envelope.Sealed) []byte {
	return object([]pair{
		{"data", quoted(s.Data)},
		{"rsp_code", quoted(code)},
		{"rsp_msg", quoted(message)},
		{"merchant_id", quoted(merchant)},
		{"md5", quoted(s.MD5)},
	})
}
