package ottpaytest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
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
	// At is when it came or left.
	At time.Time
	// Callback tells a callback from a request.
	Callback bool

	Merchant string // as the envelope names it
	Order    string // as the payload names it, or as the gateway made it up
	Action   string // of a request
	Version  string // of a request
	// TerminalNo and OperatorID are those outside of the data.
	TerminalNo, OperatorID string

	Method string // of HTTP
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

	Status          int    // of the HTTP answer; 0 if there was none
	Answer          []byte // its body, of which at most 64 KiB are kept
	AnswerPlaintext []byte // the decrypted data of the answer, nil if there is none
	MS              int64  // how long the answer took, in milliseconds

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
	pending                                          bool // a callback that is under way
	status                                           int
	ms                                               int64
}

// messageLog keeps the last messages: the newest as they are, the others in
// groups. Gateway.mu guards it.
type messageLog struct {
	keys  func(merchant string) []envelope.Key
	cold  []*group
	hot   []*message // by seq, after those of the groups
	n     int
	bytes int

	thawed *group // whose messages are in cache
	cache  []*message
}

// maxHot is how many messages are not compressed yet.
const maxHot = 4 * groupSize

func (l *messageLog) add(m *message) {
	l.hot = append(l.hot, m)
	l.n++
	l.bytes += m.size()
	if len(l.hot) >= maxHot && !slices.ContainsFunc(l.hot[:groupSize], func(m *message) bool { return m.pending }) {
		for _, old := range l.hot[:groupSize] {
			l.bytes -= old.size()
		}
		g := freeze(l.hot[:groupSize], l.keys)
		l.cold = append(l.cold, g)
		l.bytes += len(g.blob)
		l.hot = append(make([]*message, 0, maxHot), l.hot[groupSize:]...)
	}
	l.bound()
}

// grow accounts for the answer that a message in the log has got.
func (l *messageLog) grow(m *message) {
	if i, ok := slices.BinarySearchFunc(l.hot, m.seq, messageSeq); ok && l.hot[i] == m {
		l.bytes += len(m.answer)
		l.bound()
	}
}

// bound drops the oldest messages if there are too many.
func (l *messageLog) bound() {
	for l.n > maxMessages || l.bytes > maxMessageBytes {
		switch {
		case len(l.cold) > 0:
			l.n -= l.cold[0].n
			l.bytes -= len(l.cold[0].blob)
			l.cold = slices.Delete(l.cold, 0, 1)
		case len(l.hot) > 1:
			l.n--
			l.bytes -= l.hot[0].size()
			l.hot = slices.Delete(l.hot, 0, 1)
		default:
			return
		}
	}
}

// intern shares what other messages have, too.
func (m *message) intern(i *intern) {
	for _, text := range []*string{&m.merchant, &m.action, &m.version, &m.terminal, &m.oper, &m.method, &m.url, &m.code, &m.fault, &m.err, &m.verdict, &m.member, &m.rule} {
		*text = i.text(*text)
	}
	m.header = i.header(m.header)
	m.answer = bytes.Clone(m.answer) // it may be a part of a longer one
}

func (m *message) size() int { return len(m.body) + len(m.answer) }

func messageSeq(m *message, seq uint64) int { return cmp.Compare(m.seq, seq) }

// of returns the messages of a group. They are copies.
func (l *messageLog) of(g *group) []*message {
	if l.thawed != g {
		l.thawed, l.cache = g, g.thaw(l.keys)
	}
	return l.cache
}

// find returns a message, nil if there is none. An old one is a copy.
func (l *messageLog) find(seq uint64) *message {
	all := l.hot
	if len(l.hot) == 0 || seq < l.hot[0].seq {
		i, _ := slices.BinarySearchFunc(l.cold, seq, func(g *group, seq uint64) int { return cmp.Compare(g.last, seq) })
		if i == len(l.cold) || seq < l.cold[i].first {
			return nil
		}
		all = l.of(l.cold[i])
	}
	if i, ok := slices.BinarySearchFunc(all, seq, messageSeq); ok {
		return all[i]
	}
	return nil
}

// all walks the messages, oldest first. Old ones are copies.
func (l *messageLog) all(yield func(*message) bool) {
	for _, g := range l.cold {
		for _, m := range l.of(g) {
			if !yield(m) {
				return
			}
		}
	}
	for _, m := range l.hot {
		if !yield(m) {
			return
		}
	}
}

// forget drops the messages of a merchant.
func (l *messageLog) forget(merchant string) {
	theirs := func(m *message) bool { return m.merchant == merchant }
	var cold []*group
	l.thawed, l.cache = nil, nil
	for _, g := range l.cold {
		if slices.Contains(g.merchants, merchant) {
			if kept := slices.DeleteFunc(g.thaw(l.keys), theirs); len(kept) > 0 {
				cold = append(cold, freeze(kept, l.keys))
			}
			continue
		}
		cold = append(cold, g)
	}
	l.cold, l.hot = cold, slices.DeleteFunc(l.hot, theirs)
	l.n, l.bytes = len(l.hot), 0
	for _, m := range l.hot {
		l.bytes += m.size()
	}
	for _, g := range l.cold {
		l.n += g.n
		l.bytes += len(g.blob)
	}
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

// Requests returns the requests that are kept, oldest first: see
// [Gateway.Message].
func (g *Gateway) Requests() []Message {
	g.mu.Lock()
	var kept []Message
	keys := make(map[string][]envelope.Key)
	for m := range g.messages.all {
		if !m.callback {
			kept = append(kept, m.public())
			keys[m.merchant] = g.keysOf(m.merchant)
		}
	}
	g.mu.Unlock()
	for i := range kept {
		kept[i].open(keys[kept[i].Merchant])
	}
	return kept
}

// hidden is what stands in place of a secret.
const hidden = "(hidden)"

// secretHeaders hold what must not be kept.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"}

// redacted returns a shallow copy of a header without what must not be kept.
func redacted(h http.Header) http.Header {
	h = maps.Clone(h)
	for _, name := range secretHeaders {
		if _, ok := h[name]; ok {
			h[name] = []string{hidden}
		}
	}
	return h
}
