package ottpaytest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

const (
	maxMessages     = 10_000
	maxMessageBytes = 32 << 20 // of all bodies together
	maxKeptBody     = 64 << 10 // of one answer
)

// Message is a request that reached the gateway, or a callback that left it,
// with the answer.
type Message struct {
	// Seq is that of its event, [EventRequestReceived] or [EventDeliverySent].
	Seq uint64
	At  time.Time
	// Callback tells a callback from a request.
	Callback bool

	Merchant string // as the envelope names it
	Order    string // as the payload names it
	Action   string // of a request
	Version  string // of a request
	// TerminalNo and OperatorID are those outside of the data.
	TerminalNo, OperatorID string

	Method string
	// URL is the path of a request without its query, and the whole address of
	// a callback.
	URL string
	// Header is that of the request or the callback. The values of
	// Authorization, cookies and the like are hidden.
	Header http.Header
	// Body is what was sent, byte for byte.
	Body []byte
	// Plaintext is the decrypted data, nil if the body does not open with a key
	// of the merchant's.
	Plaintext []byte

	// Code is the response code: that was answered, or that a callback said.
	Code string
	// Status and Answer are the HTTP answer; Status is 0 if there was none. At
	// most 64 KiB of an answer are kept.
	Status          int
	Answer          []byte
	AnswerPlaintext []byte
	MS              int64
	// Fault is the name of the fault that was injected, with its direction.
	Fault string
	// Lenient says what was taken although the document refuses it.
	Lenient []string
	// Err is why there was no answer.
	Err string
	// Member and Rule say what of the document a request breaks, "" if it breaks
	// nothing.
	Member, Rule string
	// Verdict is one sentence about the outcome.
	Verdict string
}

// message is what the log keeps of a Message.
type message struct {
	seq                                              uint64
	at                                               time.Time
	callback                                         bool
	merchant, order, action, version, terminal, oper string
	method, url                                      string
	header                                           http.Header
	body, answer                                     []byte
	code, fault, err, verdict, member, rule          string
	lenient                                          []string
	status                                           int
	ms                                               int64
}

// messageLog keeps the last messages. Gateway.mu guards it.
type messageLog struct {
	all   []*message // by seq
	bytes int
}

func (l *messageLog) add(m *message) {
	l.all = append(l.all, m)
	l.grow(m.size())
}

// grow accounts for bytes that were added, and drops the oldest messages if
// there are too many.
func (l *messageLog) grow(bytes int) {
	l.bytes += bytes
	if len(l.all) <= maxMessages && l.bytes <= maxMessageBytes {
		return
	}
	drop := 0
	for drop < len(l.all)-1 && (len(l.all)-drop > maxMessages*9/10 || l.bytes > maxMessageBytes*9/10) {
		l.bytes -= l.all[drop].size()
		drop++
	}
	l.all = slices.Delete(l.all, 0, drop)
}

func (m *message) size() int { return len(m.body) + len(m.answer) }

func (l *messageLog) find(seq uint64) *message {
	i, ok := slices.BinarySearchFunc(l.all, seq, func(m *message, seq uint64) int {
		switch {
		case m.seq < seq:
			return -1
		case m.seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return l.all[i]
}

// forget drops the messages of a merchant.
func (l *messageLog) forget(merchant string) {
	l.all = slices.DeleteFunc(l.all, func(m *message) bool {
		if m.merchant == merchant {
			l.bytes -= m.size()
			return true
		}
		return false
	})
}

// Message returns the message of an event. The last 10 000 are kept, or fewer
// if their bodies would take more than 32 MiB.
func (g *Gateway) Message(seq uint64) (Message, bool) {
	g.mu.Lock()
	m := g.messages.find(seq)
	if m == nil {
		g.mu.Unlock()
		return Message{}, false
	}
	out := m.public()
	keys := g.keysOf(m.merchant)
	g.mu.Unlock()
	out.open(keys)
	return out, true
}

func (m *message) public() Message {
	return Message{
		Seq: m.seq, At: m.at, Callback: m.callback, Merchant: m.merchant, Order: m.order, Action: m.action,
		Version: m.version, TerminalNo: m.terminal, OperatorID: m.oper, Method: m.method, URL: m.url,
		Header: m.header.Clone(), Body: slices.Clone(m.body), Code: m.code, Status: m.status, Answer: slices.Clone(m.answer),
		MS: m.ms, Fault: m.fault, Lenient: slices.Clone(m.lenient), Err: m.err, Verdict: m.verdict,
		Member: m.member, Rule: m.rule,
	}
}

// open decrypts the body and the answer.
func (m *Message) open(keys []envelope.Key) {
	if m.Action == string(ActionInAppPay) {
		if json.Valid(m.Body) {
			m.Plaintext = slices.Clone(m.Body)
		}
		return
	}
	if m.Callback {
		if e, err := envelope.ReadResponse(m.Body); err == nil {
			m.Plaintext = opened(keys, e.Sealed)
		}
		return
	}
	if e, err := envelope.ReadRequest(m.Body); err == nil {
		m.Plaintext = opened(keys, e.Sealed)
	}
	if e, err := envelope.ReadAnswer(m.Answer); err == nil && e.Data != "" {
		m.AnswerPlaintext = opened(keys, e.Sealed)
	}
}

func opened(keys []envelope.Key, sealed envelope.Sealed) []byte {
	for _, key := range keys {
		if p, err := key.Open(sealed); err == nil {
			return p.JSON
		}
	}
	return nil
}

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
// ones. [Gateway.Message] has their answers, too.
func (g *Gateway) Requests() []Request {
	g.mu.Lock()
	var kept []Message
	keys := make(map[string][]envelope.Key)
	for _, m := range g.messages.all {
		if !m.callback {
			kept = append(kept, m.public())
			keys[m.merchant] = g.keysOf(m.merchant)
		}
	}
	g.mu.Unlock()
	out := make([]Request, 0, len(kept))
	for _, m := range kept {
		m.open(keys[m.Merchant])
		r := Request{
			At: m.At, Header: m.Header, Body: m.Body, Action: m.Action, Version: m.Version, MerchantID: m.Merchant,
			TerminalNo: m.TerminalNo, OperatorID: m.OperatorID, Payload: m.Plaintext, OrderID: m.Order, Code: m.Code,
			Fault: FaultKind(strings.TrimPrefix(m.Fault, "answer:")),
		}
		if m.Action == string(ActionInAppPay) && m.Code == string(api.CodeParamError) {
			r.Payload = nil
		}
		out = append(out, r)
	}
	return out
}

// hidden is what stands in place of a secret.
const hidden = "(hidden)"

// secretHeaders hold what must not be kept.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"}

// redacted returns a copy of a header without what must not be kept.
func redacted(h http.Header) http.Header {
	h = maps.Clone(h)
	for _, name := range secretHeaders {
		if _, ok := h[name]; ok {
			h[name] = []string{hidden}
		}
	}
	return h
}
