package splice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"encoding/base64"
	"net/http/httptest"
	"testing"
	"text/tabwriter"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// TestSearch searches for what an attacker can make of honest notifications
// without the sign key, by leaving out, doubling, moving and swapping the
// blocks of 16 bytes in which they are encrypted. Blocks are encrypted one by
// one under a key that messages of one digest share, so the search arranges
// blocks of plaintext, passes over what no JSON reader could accept, and posts
// the rest, as arranged ciphertext, to a webhook without an Asker.
//
// The law: what reaches the handler says nothing else than an honest message
// about merchant, amount, order, acquirer's order, finish time and the member
// that the handler's type requires.
//
// OTTPAY_SPLICE=n searches n times as many messages (make splice).
func TestSearch(t *testing.T) {
	t.Parallel()
	scale := 0.005
	if n, err := strconv.ParseFloat(os.Getenv("OTTPAY_SPLICE"), 64); err == nil {
		scale = n
	}
	all := []row{
		{name: "one operation", messages: 1500, operations: 1},
		{name: "one, hostile text", messages: 1500, operations: 1, hostile: true},
		{name: "two", messages: 60, operations: 2},
		{name: "two, hostile text", messages: 60, operations: 2, hostile: true},
		{name: "three, sampled", messages: 60, operations: 3, hostile: true},
		{name: "two messages of one md5", messages: 100, operations: 1, pairs: true, hostile: true},
		{name: "runs of any length", messages: 1500, runs: true},
		{name: "runs, hostile text", messages: 1500, runs: true, hostile: true},
		{name: "runs, hostile text, empty members", messages: 1500, runs: true, hostile: true, empties: true},
		{name: "two exchanges of runs, sampled", messages: 100, operations: 2, runs: true, hostile: true},
		{name: "order ids of 4 to 64", messages: 1000, operations: 1, wide: true, hostile: true},
		{name: "names that fill a block", messages: 1000, operations: 1, hostile: true, filling: true, lawless: true},
	}
	t.Cleanup(func() {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "search\thonest\tsuspected\ttried\topened\tchecked\taccepted\tprotected\tkind\tcaught\t")
		for i := range all {
			r := &all[i]
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.name,
				r.honest, r.suspected, r.tried, r.opened, r.checked, r.accepted, r.protected, r.kind, r.caught)
		}
		w.Flush()
		t.Log("\n" + b.String())
	})
	for i := range all {
		r := &all[i]
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := newSearch(t, r)
			a := author{rand.New(rand.NewPCG(uint64(i+1), 14))}
			for n := range max(1, int(float64(r.messages)*scale)) {
				s.message(a, schemas[n%len(schemas)])
			}
			switch {
			case r.tried == 0 || r.opened == 0 && r.operations == 1:
				t.Error("the search finds nothing at all")
			case scale < 1:
			case r.accepted == 0 || r.caught == 0 && !r.lawless:
				t.Error("no splice of a protected member was found to be suspect: the search proves nothing")
			case r.suspected > r.honest/r.mostSuspected():
				t.Errorf("%d of %d honest messages are suspect", r.suspected, r.honest)
			}
		})
	}
}

// mostSuspected is the share of honest messages that may be suspect, as a divisor.
// An order id of unusual length beside an absent member that is sent empty is
// suspect more often than not, as is a value that ends at a block boundary beside
// several of those. Config.OrderIDLength is the cure for the first.
func (r *row) mostSuspected() int {
	switch {
	case r.empties:
		return 10
	case r.wide:
		return 20
	}
	return 50
}

// row is one search and what it found.
type row struct {
	name       string
	messages   int
	operations int
	runs       bool // runs of any length are exchanged, moved, left out and doubled
	pairs      bool // blocks of two messages of one digest
	empties    bool // absent members are sent empty
	hostile    bool // free text is chosen by an attacker
	wide       bool // order ids of any length
	filling    bool // an unknown member of free text, whose name and quotation marks fill blocks
	lawless    bool // what is found is reported and is no failure

	honest, suspected int // messages, and those of them that are suspect as they are
	tried             int // arrangements
	opened            int // by the envelope, not honest
	checked           int // accepted by the checks
	accepted          int // and not suspect
	protected         int // of which say something else: against the law
	kind              int // paid instead of authorised, or the like, where no status is required
	caught            int // suspect, and would have said something else
}

// pair is a name and its value as the plainest JSON.
type pair struct{ name, value string }

// author invents honest notifications.
type author struct{ *rand.Rand }

func (a author) pick(s ...string) string { return s[a.IntN(len(s))] }
func (a author) often(percent int) bool  { return a.IntN(100) < percent }

func (a author) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[a.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	decimal      = "0123456789"
	hexadecimal  = "0123456789abcdef"
	alphanumeric = decimal + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func (a author) digits(n int) string { return a.from(decimal, n) }

func (a author) stamp() string {
	return fmt.Sprintf("20%02d%02d%02d%02d%02d%02d", 20+a.IntN(7), 1+a.IntN(12), 1+a.IntN(28), a.IntN(24), a.IntN(60), a.IntN(60))
}

func (a author) finishTime() string {
	s := a.stamp()
	long := s[:4] + "-" + s[4:6] + "-" + s[6:8] + " " + s[8:10] + ":" + s[10:12] + ":" + s[12:]
	return a.pick(s, s, long, long+" CST")
}

func (a author) orderID(wide bool) string {
	if wide {
		switch a.IntN(4) {
		case 0:
			return a.from(hexadecimal, 8) + "-" + a.from(hexadecimal, 4) + "-4" + a.from(hexadecimal, 3) + "-a" + a.from(hexadecimal, 3) + "-" + a.from(hexadecimal, 12)
		case 1:
			return a.from(hexadecimal, 32)
		case 2:
			return a.digits(4 + a.IntN(6))
		}
		return a.from(alphanumeric+"_-", 8+a.IntN(57))
	}
	switch a.IntN(5) {
	case 0:
		return a.from(alphanumeric[:36], 20)
	case 1:
		return "T" + a.stamp() + a.digits(3)
	case 2:
		return a.stamp()[:8] + a.digits(5) + "O" + a.digits(3) + "O" + a.digits(4)
	case 3:
		return a.pick("ORDER_", "shop1_", "web_") + a.digits(8+a.IntN(8))
	}
	return a.digits(10 + a.IntN(15))
}

func (a author) amount() string {
	s := strings.TrimLeft(a.pick("1", "5", "10", "100", "1000", "1999", "2500", "")+a.digits(a.IntN(4)), "0")
	if s == "" {
		return "1"
	}
	return s
}

// number spells an amount as a string, or as a number.
func (a author) number(s string) string {
	if a.often(15) {
		return s
	}
	return quote(s)
}

func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	return strings.TrimSpace(b.String())
}

// text is what people write, or what an attacker does who knows the other
// members but for the channel's.
func (a author) text(hostile bool, known []pair) string {
	if !hostile {
		return a.pick("thank you", "two teas, no sugar", "table 12", "happy birthday", "谢谢惠顾 🍵", "commande n° 12", "",
			"----------------------------------------", `{"cart":[1,2],"note":"x"}`, "order "+a.digits(8), a.from(alphanumeric[10:]+"      ,.", 10+a.IntN(80)))
	}
	switch a.IntN(8) {
	case 0:
		return strings.Repeat(a.pick("0", "1", "9", " ", "x", "12", "00", "ab"), 1+a.IntN(50))
	case 1:
		return a.digits(16 + a.IntN(60))
	case 2:
		var b strings.Builder
		for range 1 + a.IntN(5) {
			v := strings.Trim(known[a.IntN(len(known))].value, `"`)
			i := a.IntN(len(v) + 1)
			b.WriteString(a.pick(v, v[i:], v[:i], v+v))
		}
		return b.String()
	case 3:
		unit := a.digits(16)
		return strings.Repeat(unit, 2+a.IntN(3)) + unit[:a.IntN(16)]
	case 4:
		return a.pick("order_id", "amount", "order_status", "authorised", "captured", "_id", "_status", "merchant_id") +
			a.from(alphanumeric, a.IntN(30)) + a.pick("_id", "_status", "nt", "captured")
	case 5:
		return a.pick(`{"amount":"1"}`, `","amount":"1`, `"}`, `\","order_id":"1`, `{"cart":[1,2],"note":"x"}`) + a.from(alphanumeric, a.IntN(20))
	case 6:
		return a.pick("0000000000000000 happy birthday", "20240102160501 is the day, captured")
	}
	return a.from(alphanumeric+"     ,.:", 10+a.IntN(80))
}

// style is how a writer of JSON spells.
type style struct {
	open, shut, comma, colon string
	spell                    func(string) string
}

func (a author) style() style {
	plain := style{"{", "}", ",", ":", func(s string) string { return s }}
	switch a.IntN(10) {
	case 0: // Gson, Jackson, PHP, JavaScript and others, indented
		in := a.IntN(6)
		blanks := []string{"\n  ", "\n  ", "\n    ", "\n ", "\n\t", "\r\n\t"}[in]
		plain.open, plain.comma, plain.colon, plain.shut = "{"+blanks, ","+blanks, []string{": ", " : ", ": ", " : ", ": ", ":\t"}[in], "\n}"
	case 1: // PHP
		plain.spell = func(s string) string { return asciiOnly(strings.ReplaceAll(s, "/", `\/`)) }
	case 2: // Gson
		plain.spell = strings.NewReplacer("=", `\u003d`, "'", `\u0027`, "<", `\u003c`, "&", `\u0026`).Replace
	}
	return plain
}

func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func (s style) write(ps []pair) string {
	var b strings.Builder
	b.WriteString(s.open)
	for i, p := range ps {
		if i > 0 {
			b.WriteString(s.comma)
		}
		b.WriteString(quote(p.name) + s.colon + s.spell(p.value))
	}
	return b.String() + s.shut
}

// fills reports whether name and what stands around it between two strings
// fill whole blocks. It cannot be seen when they are missing.
func (s style) fills(name string) bool { return (len(s.comma)+len(s.colon)+4+len(name))%16 == 0 }

// members invents a notification of a schema.
func (a author) members(schema string, st style, r *row) []pair {
	ps := []pair{
		{"amount", a.number(a.amount())},
		{"order_id", quote(a.orderID(r.wide))},
		{"bizpay_order_id", quote(a.pick("WX"+a.stamp()+a.digits(4), "AL"+a.digits(15), "42000"+a.digits(23), a.stamp()[:8]+a.digits(20), "WX"+a.digits(18)))},
		{"finish_time", quote(a.finishTime())},
	}
	maybe := func(percent int, name, value string) {
		if a.often(percent) && !slices.ContainsFunc(ps, func(p pair) bool { return p.name == name }) {
			ps = append(ps, pair{name, value})
		}
	}
	maybe(80, "merchant_id", quote(merchant))
	maybe(60, a.pick("tip", "tip", "tip", "Tip"), a.number(a.pick("0", "0", "100", "250", "1500")))
	maybe(25, "convenience_fee", a.number(a.pick("0", "1", "45", "120")))
	maybe(30, "sale_num", quote(a.digits(8+a.IntN(15))))
	maybe(25, "exchange_rate", a.number(a.pick("5.24740000", "5.2474", "1", "5.10000000")))
	maybe(20, "sub_openId", quote(a.pick("o"+a.from(alphanumeric+"_-", 27), "o"+a.from(alphanumeric+"_-", 27), "2088"+a.digits(12))))
	switch schema {
	case "CardNotification":
		maybe(100, "order_status", quote(a.pick("authorised", "captured", "authorized", "AUTHORISED")))
		maybe(60, "reference", quote(a.from(alphanumeric, 6+a.IntN(15))))
	case "CheckoutNotification":
		maybe(100, "prepay_order_id", quote(a.pick("prepay"+a.stamp()+a.digits(3), a.from(alphanumeric, 20), a.digits(17))))
		maybe(20, "order_status", quote(a.pick("success", "authorised")))
	default:
		maybe(20, "order_status", quote(a.pick("authorised", "captured", "success")))
	}
	maybe(6, "sale_num", `""`)
	if r.empties {
		for _, name := range []string{"tip", "remarks", "sale_num", "reference", "convenience_fee", "exchange_rate", "sub_openId", "prepay_order_id"} {
			if name != "tip" || !slices.ContainsFunc(ps, func(p pair) bool { return p.name == "Tip" }) {
				maybe(60, name, `""`)
			}
		}
	}
	maybe(20, "currency", quote("CAD"))
	maybe(12, "operator_id", quote("0000020156"))
	maybe(10, "biz_type", quote(a.pick("WECHATPAY", "ALIPAY", "UNIONPAY")))
	maybe(6, "extra", a.pick(`{"a":1}`, `null`, `true`, `["x","y"]`, `[]`))
	maybe(6, "transaction_currency_code", quote("124"))
	maybe(45, "remarks", quote(a.text(r.hostile, ps)))
	free, percent := []string{"attach", "attach_msg", "attach_info", "body", "order_remark", "email"}, 12
	if r.filling {
		percent = 100
	}
	free = slices.DeleteFunc(free, func(name string) bool { return st.fills(name) != r.filling })
	if len(free) > 0 {
		maybe(percent, a.pick(free...), quote(a.text(r.hostile, ps)))
	}
	switch a.IntN(5) {
	case 0:
		slices.SortFunc(ps, func(x, y pair) int { return strings.Compare(x.name, y.name) })
	case 1:
	default:
		a.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
	}
	return ps
}

// twin writes a second message of the same digest: other order, other
// spelling, or a digit that has changed sides between two neighbours.
func (a author) twin(st style, ps []pair) string {
	ps = slices.Clone(ps)
	switch a.IntN(3) {
	case 0:
		a.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
	case 1:
		return a.style().write(ps)
	default:
		x := slices.IndexFunc(ps, func(p pair) bool { return p.name == "amount" })
		y := slices.IndexFunc(ps, func(p pair) bool { return p.name == "bizpay_order_id" })
		if d := ps[y].value[1]; ps[x].value[0] == '"' && d >= '1' && d <= '9' {
			ps[x].value = ps[x].value[:len(ps[x].value)-1] + string(d) + `"`
			ps[y].value = `"` + ps[y].value[2:]
		}
	}
	return st.write(ps)
}

var schemas = [...]string{"Notification", "CardNotification", "CheckoutNotification"}

// statement is what the law protects.
type statement struct {
	merchant, named, order, channel, finish, required string
	amount                                            int64
}

// search posts arrangements of blocks to a webhook.
type search struct {
	t       *testing.T
	row     *row
	key     envelope.Key
	webhook *middleware.Webhook
	handler map[string]http.Handler

	got    *middleware.Delivery
	reason string
	shown  int
}

func newSearch(t *testing.T, r *row) *search {
	s := &search{t: t, row: r, key: mustKey(t, publishedKey)}
	s.webhook = newWebhook(t, func(cfg *middleware.Config) {
		cfg.Store = nothing{}
		cfg.Observer = reasons{s} // OnRefused is a sample: an order that was refused ten times is not told again
	})
	s.handler = map[string]http.Handler{
		"Notification":         middleware.Handle(s.webhook, func(ctx context.Context, _ *api.Notification) error { return s.keep(ctx) }),
		"CardNotification":     middleware.Handle(s.webhook, func(ctx context.Context, _ *api.CardNotification) error { return s.keep(ctx) }),
		"CheckoutNotification": middleware.Handle(s.webhook, func(ctx context.Context, _ *api.CheckoutNotification) error { return s.keep(ctx) }),
	}
	return s
}

// reasons keeps why the last delivery was refused.
type reasons struct{ *search }

func (r reasons) Delivery(req *http.Request) (context.Context, func(middleware.DeliveryOutcome)) {
	return req.Context(), func(o middleware.DeliveryOutcome) { r.reason = string(o.Reason) }
}

func (r reasons) Call(req *http.Request, _, _ string) (context.Context, func(middleware.CallOutcome)) {
	return req.Context(), func(middleware.CallOutcome) {}
}

func (s *search) keep(ctx context.Context) error {
	s.got, _ = middleware.FromContext(ctx)
	return nil
}

// deliver posts an envelope. The delivery is what the handler got, or what it
// would have got of a suspect.
func (s *search) deliver(schema string, sealed envelope.Sealed) (d *middleware.Delivery, reason string) {
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Message: "success", MerchantID: merchant, Sealed: sealed})
	if err != nil {
		s.t.Fatal(err)
	}
	s.got, s.reason = nil, ""
	status := post(s.handler[schema], body).Code
	switch {
	case (s.got != nil) != (status == http.StatusOK) || s.got != nil && s.got.SpliceSign() != "":
		s.t.Fatalf("status %d, handled %v", status, s.got != nil)
	case s.reason == "possible-splice":
		if status != http.StatusServiceUnavailable {
			s.t.Fatalf("a suspect was answered %d", status)
		}
		s.got, err = s.webhook.Check(httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)))
		if err != nil || s.got.SpliceSign() == "" {
			s.t.Fatalf("a suspect, but Check says %v", err)
		}
	}
	return s.got, s.reason
}

func says(schema string, d *middleware.Delivery) statement {
	s := statement{
		merchant: d.Merchant, named: d.Notification.MerchantID, order: d.OrderID,
		channel: d.BizpayOrderID, finish: string(d.FinishTime), amount: int64(d.Amount),
	}
	switch schema {
	case "CardNotification":
		s.required = string(d.Notification.OrderStatus)
	case "CheckoutNotification":
		s.required = d.Notification.PrepayOrderID
	}
	return s
}

// pool is the blocks of one honest message, or of two of the same digest.
type pool struct {
	schema        string
	md5           string
	plain, cipher [][]byte
	lexed         []lexed
	last          []int   // the blocks that hold padding
	lastLexed     []lexed // without it
	messages      []string
	said          []statement
	kinds         []string
	exact         bool // no escape and no number: the text's length is known
	length        int
	seen          map[string]bool
}

// pool seals messages, which must be accepted as they are.
func (s *search) pool(schema string, messages ...string) *pool {
	p := &pool{schema: schema, messages: messages, exact: true, seen: make(map[string]bool)}
	for _, message := range messages {
		sealed, err := s.key.Seal([]byte(message))
		if err != nil {
			s.t.Fatalf("%v: %s", err, message)
		}
		if p.md5 != "" && sealed.MD5 != p.md5 {
			return nil // the twin is none
		}
		p.md5 = sealed.MD5
		s.row.honest++
		d, reason := s.deliver(schema, sealed)
		if reason == "possible-splice" {
			s.row.suspected++
			return nil
		}
		if d == nil {
			s.t.Fatalf("an honest message is refused: %s: %s", reason, message)
		}
		p.said = append(p.said, says(schema, d))
		p.kinds = append(p.kinds, d.Kind)
		p.add(message, sealed)
	}
	return p
}

func (p *pool) add(message string, sealed envelope.Sealed) {
	ciphertext, _ := base64.StdEncoding.DecodeString(sealed.Data)
	padding := len(ciphertext) - len(message)
	plain := append([]byte(message), bytes.Repeat([]byte{byte(padding)}, padding)...)
	state := lexStart
	p.length = 0
	for _, c := range []byte(message) {
		var value bool
		if state, value = lexStep(state, c); value {
			p.length++
		}
		p.exact = p.exact && c != '\\' && state != lexBare && state < lexNest
	}
	for at := 0; at < len(plain); at += 16 {
		p.plain = append(p.plain, plain[at:at+16])
		p.cipher = append(p.cipher, ciphertext[at:at+16])
		p.lexed = append(p.lexed, lex(plain[at:at+16]))
	}
	p.last = append(p.last, len(p.plain)-1)
	p.lastLexed = append(p.lastLexed, lex(plain[len(plain)-16:len(message)]))
}

// message searches one message, or a pair.
func (s *search) message(a author, schema string) {
	st := a.style()
	ps := a.members(schema, st, s.row)
	messages := []string{st.write(ps)}
	if s.row.pairs {
		messages = append(messages, a.twin(st, ps))
	}
	p := s.pool(schema, messages...)
	if p == nil {
		return
	}
	var inner []uint8 // all blocks without padding
	for b := range p.plain {
		if !slices.Contains(p.last, b) {
			inner = append(inner, uint8(b))
		}
	}
	honest := inner[:p.last[0]:p.last[0]]
	if s.row.pairs {
		s.cross(p, honest, inner[p.last[0]:])
	}
	var promising [][]uint8
	if s.row.runs {
		runs(honest, func(seq []uint8) {
			s.try(p, seq, 0)
			if s.row.operations == 2 && len(promising) < 32 && a.IntN(100) == 0 && (p.readable(seq, 0) || a.IntN(20) == 0) {
				promising = append(promising, slices.Clone(seq))
			}
		})
		for _, first := range promising {
			runs(first, func(seq []uint8) { s.try(p, seq, 0) })
		}
		return
	}
	once(honest, inner, func(first []uint8) {
		s.try(p, first, 0)
		if s.row.operations == 1 {
			return
		}
		first = slices.Clone(first)
		once(first, inner, func(second []uint8) {
			if s.row.operations == 2 {
				s.try(p, second, 0)
			} else if a.IntN(2000) == 0 || len(promising) < 64 && p.readable(second, 0) && a.IntN(20) == 0 {
				promising = append(promising, slices.Clone(second))
			}
		})
	})
	for _, second := range promising {
		once(second, inner, func(third []uint8) { s.try(p, third, 0) })
	}
}

// cross puts parts of one message into the other.
func (s *search) cross(p *pool, one, two []uint8) {
	for i := range one {
		for _, b := range two {
			seq := slices.Clone(one)
			seq[i] = b
			s.try(p, seq, 0)
			for j := i + 1; j < len(one) && j < i+3; j++ {
				for _, c := range two {
					seq[j] = c
					s.try(p, seq, 0)
				}
				seq[j] = one[j]
			}
		}
	}
	for i := range len(one) + 1 {
		for j := range len(two) + 1 {
			s.try(p, slices.Concat(one[:i], two[j:]), 1)
			s.try(p, slices.Concat(two[:j], one[i:]), 0)
		}
	}
}

// once yields every sequence that one operation makes of seq. It is not kept.
func once(seq, from []uint8, yield func([]uint8)) {
	n := len(seq)
	next := make([]uint8, 0, n+1)
	for i := range n { // leave out
		yield(append(append(next[:0], seq[:i]...), seq[i+1:]...))
	}
	for i := range n { // swap
		for j := i + 1; j < n; j++ {
			next = append(next[:0], seq...)
			next[i], next[j] = next[j], next[i]
			yield(next)
		}
	}
	for _, b := range from { // double, or take from the other message
		for i := range n + 1 {
			yield(append(append(append(next[:0], seq[:i]...), b), seq[i:]...))
		}
	}
	for i := range n { // move behind another
		for j := range n {
			if j == i || j == i-1 {
				continue
			}
			next = next[:0]
			for k, b := range seq {
				if k != i {
					next = append(next, b)
				}
				if k == j {
					next = append(next, seq[i])
				}
			}
			yield(next)
		}
	}
}

// runs yields every sequence that comes of seq when two runs change places, one
// of which may be empty, or one is left out or doubled. It is not kept.
func runs(seq []uint8, yield func([]uint8)) {
	n := len(seq)
	next := make([]uint8, 0, 2*n)
	for i := range n + 1 {
		for a := i; a <= n; a++ {
			if a > i {
				yield(append(append(next[:0], seq[:i]...), seq[a:]...))
			}
			for j := a; j <= n; j++ {
				if a > i {
					yield(append(append(append(next[:0], seq[:j]...), seq[i:a]...), seq[j:]...))
				}
				for b := j; b <= n; b++ {
					if a > i || b > j {
						yield(append(append(append(append(append(next[:0], seq[:i]...), seq[j:b]...), seq[a:j]...), seq[i:a]...), seq[b:]...))
					}
				}
			}
		}
	}
}

// readable reports whether blocks may be a JSON object of strings that are as
// long together as the honest ones.
func (p *pool) readable(seq []uint8, last int) bool {
	state, length := lexStart, 0
	for _, b := range seq {
		l := &p.lexed[b]
		length += int(l.gain[state])
		if state = int(l.next[state]); state == lexFail {
			return false
		}
	}
	l := &p.lastLexed[last]
	length += int(l.gain[state])
	return int(l.next[state]) == lexDone && (!p.exact || length == p.length)
}

// try judges one arrangement: blocks, and the one with padding.
func (s *search) try(p *pool, seq []uint8, last int) {
	s.row.tried++
	if !p.readable(seq, last) {
		return
	}
	var plain, ciphertext []byte
	for _, b := range seq {
		plain, ciphertext = append(plain, p.plain[b]...), append(ciphertext, p.cipher[b]...)
	}
	end := p.plain[p.last[last]]
	plain = append(plain, end[:16-int(end[15])]...)
	ciphertext = append(ciphertext, p.cipher[p.last[last]]...)
	if p.seen[string(plain)] || slices.Contains(p.messages, string(plain)) {
		return
	}
	p.seen[string(plain)] = true

	sealed := envelope.Sealed{Data: base64.StdEncoding.EncodeToString(ciphertext), MD5: p.md5}
	if payload, err := s.key.Open(sealed); err != nil {
		return
	} else if !bytes.Equal(payload.JSON, plain) {
		s.t.Fatal("the envelope does not open to the blocks that were put into it")
	}
	s.row.opened++
	d, reason := s.deliver(p.schema, sealed)
	if d == nil {
		return
	}
	s.row.checked++
	changed := !slices.Contains(p.said, says(p.schema, d))
	if reason == "possible-splice" {
		if changed {
			s.row.caught++
		}
		return
	}
	s.row.accepted++
	if !slices.Contains(p.kinds, d.Kind) {
		s.row.kind++
	}
	if !changed {
		return
	}
	s.row.protected++
	if s.shown++; s.shown <= 3 && !s.row.lawless {
		s.t.Errorf("accepted, blocks %v\nhonest  %q\nspliced %q\nsaid %+v\nsays %+v", seq, p.messages, plain, p.said, says(p.schema, d))
	}
}

// The states of a reader of JSON, as far as block operations are concerned. It
// lets too much through, never too little.
const (
	lexStart = iota
	lexOpen
	lexName
	lexNameEsc
	lexColon
	lexBefore
	lexString
	lexStringEsc
	lexBare
	lexAfter
	lexComma
	lexDone
	lexNest
	lexNestString
	lexNestEsc
	lexNest2
	lexNest2String
	lexNest2Esc
	lexStates
	lexFail = 255
)

func lexStep(s int, c byte) (next int, value bool) {
	ws := c == ' ' || c == '\n' || c == '\t' || c == '\r'
	switch s {
	case lexStart:
		if ws {
			return s, false
		}
		if c == '{' {
			return lexOpen, false
		}
	case lexOpen, lexComma:
		if ws {
			return s, false
		}
		if c == '"' {
			return lexName, false
		}
	case lexName:
		switch {
		case c == '"':
			return lexColon, false
		case c == '\\':
			return lexNameEsc, false
		case c < 0x20:
			return lexFail, false
		}
		return s, false
	case lexNameEsc:
		return lexName, false
	case lexColon:
		if ws {
			return s, false
		}
		if c == ':' {
			return lexBefore, false
		}
	case lexBefore:
		switch {
		case ws:
			return s, false
		case c == '"':
			return lexString, false
		case c == '{' || c == '[':
			return lexNest, true
		case c >= '0' && c <= '9' || c == '-' || c == 't' || c == 'f' || c == 'n':
			return lexBare, true
		}
	case lexString:
		switch {
		case c == '"':
			return lexAfter, false
		case c == '\\':
			return lexStringEsc, true
		case c < 0x20:
			return lexFail, false
		}
		return s, true
	case lexStringEsc:
		return lexString, true
	case lexBare:
		switch {
		case ws:
			return lexAfter, false
		case c == ',':
			return lexComma, false
		case c == '}':
			return lexDone, false
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E':
			return s, true
		}
	case lexAfter:
		switch {
		case ws:
			return s, false
		case c == ',':
			return lexComma, false
		case c == '}':
			return lexDone, false
		}
	case lexDone:
		if ws {
			return s, false
		}
	case lexNest, lexNest2:
		switch c {
		case '"':
			return s + 1, true
		case '}', ']':
			if s == lexNest {
				return lexAfter, true
			}
			return lexNest, true
		case '{', '[':
			return lexNest2, true
		}
		return s, true
	case lexNestString, lexNest2String:
		switch {
		case c == '"':
			return s - 1, true
		case c == '\\':
			return s + 1, true
		case c < 0x20:
			return lexFail, false
		}
		return s, true
	case lexNestEsc, lexNest2Esc:
		return s - 1, true
	}
	return lexFail, false
}

type lexed struct {
	next [lexStates]uint8
	gain [lexStates]uint8
}

func lex(b []byte) (l lexed) {
	for s := range lexStates {
		state := s
		for _, c := range b {
			var value bool
			if state, value = lexStep(state, c); state == lexFail {
				break
			}
			if value {
				l.gain[s]++
			}
		}
		l.next[s] = uint8(state)
	}
	return l
}
