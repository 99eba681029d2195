package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const defaultListenAddr = "127.0.0.1:6699"

// listenFlags are the flags of the command listen.
type listenFlags struct {
	keys         keyFlags
	addr         string
	forwardTo    string
	bodies       bool
	explain      bool
	onlyVerified bool
	answers      []int
	headers      []string
	record       string
	exitAfter    int
	until        string
	timeout      time.Duration
}

func newListen(a *app) *cobra.Command {
	f := &listenFlags{}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "receives callbacks, says what it verified, and forwards them",
		Long: `listen is a merchant: the kit's own webhook, which verifies each callback and
acknowledges it. With --forward-to it stands in front of one: the very bytes,
path, query and headers go on, whether they verified or not, and the shop's
answer goes back.

It brings no tunnel. Those that are in use:
  ssh -R 80:127.0.0.1:6699 HOST    cloudflared tunnel --url http://127.0.0.1:6699
  ngrok http 6699                  tailscale funnel 6699`,
		Example: `  ottpay listen
  ottpay listen --forward-to http://127.0.0.1:3000 --record run.ndjson
  ottpay listen --until order=A1001,kind=paid --timeout 30s
  ottpay listen --answer 503,503,200              try the redelivery`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listen(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.addr, "addr", defaultListenAddr, "listen on `HOST:PORT`; port 0 picks one")
	flags.StringVar(&f.forwardTo, "forward-to", "", "pass each callback on to the shop at `URL`")
	flags.BoolVar(&f.explain, "explain", false, "explain in full what does not verify")
	flags.StringVar(&f.record, "record", "", "append what comes to `FILE`, for replay and explain")
	flags.StringVar(&f.until, "until", "", "end when `order=ID[,kind=paid]` was answered")
	f.keys.add(cmd)
	flags.BoolVar(&f.bodies, "bodies", false, "print what was decrypted")
	flags.BoolVar(&f.onlyVerified, "only-verified", false, "forward only what verified, and answer the rest")
	flags.IntSliceVar(&f.answers, "answer", nil, "answer with these status `codes` in turn, the last one from then on")
	flags.StringArrayVar(&f.headers, "header", nil, "add `Name: value` to what is forwarded, or to --answer; may be repeated")
	flags.IntVar(&f.exitAfter, "exit-after", 0, "end after so many callbacks; 0 is never")
	flags.DurationVar(&f.timeout, "timeout", 0, "end after this time, with 3 if --until did not come; 0 is never")
	_ = cmd.MarkFlagFilename("record")
	return cmd
}

// listener is a running listen.
type listener struct {
	a       *app
	f       *listenFlags
	ring    *keyring
	hook    *middleware.Webhook
	x       *explain.Explainer
	forward *url.URL
	client  http.RoundTripper
	headers http.Header
	until   map[string]string
	record  *os.File

	mu       sync.Mutex
	seq      uint64
	answered map[string]time.Time // of acknowledged notifications
	end      chan error
	ended    bool
}

func (a *app) listen(ctx context.Context, f *listenFlags) error {
	l := &listener{a: a, f: f, answered: make(map[string]time.Time), end: make(chan error, 1)}
	if err := l.prepare(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(f.addr)
	if _, bad := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil || bad != nil {
		return usagef("--addr is HOST:PORT, such as %s", defaultListenAddr)
	}
	if f.record != "" {
		if l.record, err = openRecord(f.record); err != nil {
			return err
		}
		defer l.record.Close()
	}
	listeners, err := sandbox.Listen(ctx, f.addr)
	if err != nil {
		return a.cannotListen(ctx, f.addr, err)
	}
	ctx, stop := a.untilAskedToStop(ctx)
	defer stop()
	late := make(<-chan time.Time)
	if f.timeout > 0 {
		late = time.After(f.timeout)
	}
	server := sandbox.Serve(l, listeners...)
	base := baseURL(host, listeners[0]) + "/"
	if err := l.ready(base); err != nil {
		return err
	}
	if l.forward != nil {
		l.probe(ctx)
	}
	var result error
	select {
	case err := <-server.Ended():
		result = &Failure{Code: CodeMachine, Kind: KindIO, Message: "listen stopped: " + cause(err)}
	case result = <-l.end:
	case <-late:
		if f.until != "" {
			result = &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: fmt.Sprintf("no callback of %s came within %s", cleanLine(f.until), f.timeout)}
		}
	case <-ctx.Done():
		a.talk("stopping")
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = server.Shutdown(grace)
	return result
}

func (l *listener) prepare() error {
	a, f := l.a, l.f
	var err error
	if l.ring, err = a.keyring(&f.keys); err != nil {
		return err
	}
	if l.x, err = newExplainer(l.ring); err != nil {
		return err
	}
	if l.hook, err = ottpay.NewWebhook(middleware.Config{
		Keys: ringKeys{l.ring}, Store: dedupe.NewMemory(dedupe.MemoryConfig{}), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		InsecureTrustCallback: true, // it is opened and shown, and not believed
	}); err != nil {
		return configf("%v", err)
	}
	if f.forwardTo != "" {
		if l.forward, err = parseHTTP(f.forwardTo, "--forward-to"); err != nil {
			return err
		}
		if len(f.answers) > 0 {
			return usagef("--answer plays the shop, and --forward-to asks one")
		}
		l.client = &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	}
	for _, code := range f.answers {
		if code < 200 || code > 599 {
			return usagef("--answer is a list of status codes, such as 503,200")
		}
	}
	l.headers = make(http.Header)
	for _, h := range f.headers {
		name, v, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return usagef("--header is Name: value")
		}
		l.headers.Add(strings.TrimSpace(name), strings.TrimSpace(v))
	}
	if f.until != "" {
		l.until = make(map[string]string)
		for part := range strings.SplitSeq(f.until, ",") {
			name, v, ok := strings.Cut(part, "=")
			if !ok || !slices.Contains([]string{"order", "kind", "merchant"}, name) {
				return usagef("--until is order=ID, and perhaps kind=paid or merchant=ID")
			}
			l.until[name] = v
		}
	}
	return nil
}

// ringKeys are the keys as the kit's webhook wants them.
type ringKeys struct{ ring *keyring }

func (r ringKeys) Keys(_ context.Context, merchantID string) ([]envelope.Key, error) {
	var keys []envelope.Key
	for _, k := range r.ring.of(merchantID) {
		key, err := envelope.NewKey(k.text())
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (l *listener) ready(base string) error {
	a := l.a
	if a.json {
		return a.object(struct {
			V         int    `json:"v"`
			Type      string `json:"type"`
			Seq       int    `json:"seq"`
			URL       string `json:"url"`
			ForwardTo string `json:"forward_to,omitempty"`
			PID       int    `json:"pid"`
		}{1, "ready", 0, base, l.f.forwardTo, os.Getpid()})
	}
	what := "the kit's webhook answers"
	switch {
	case l.forward != nil:
		what = "to " + l.f.forwardTo
	case len(l.f.answers) > 0:
		what = "answered " + codeList(l.f.answers)
	}
	_, err := fmt.Fprintf(a.Out, "%s %s\n\n  callbacks %s   %s\n\n", a.paint(a.Out, bold, "ottpay listen"), version(), a.paint(a.Out, cyan, base), what)
	return err
}

// probe warns if nothing listens where callbacks go.
func (l *listener) probe(ctx context.Context) {
	d := net.Dialer{Timeout: 300 * time.Millisecond}
	conn, err := d.DialContext(ctx, "tcp", hostPort(l.forward))
	if err != nil {
		l.a.talk("%s nothing listens on %s yet", l.a.paint(l.a.Err, yellow, "warn"), hostPort(l.forward))
		return
	}
	conn.Close()
}

// arrival is one callback and what is known of it.
type arrival struct {
	seq      uint64
	at       time.Time
	request  *http.Request
	body     []byte
	delivery *middleware.Delivery // nil if it did not verify
	reason   middleware.Reason
	status   int
	answer   []byte
	why      string // there was no answer of the shop
	took     time.Duration
}

// ServeHTTP receives one callback.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &arrival{at: start, request: r}
	l.mu.Lock()
	l.seq++
	c.seq = l.seq
	l.mu.Unlock()

	var seen bytes.Buffer
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(start.Add(15 * time.Second)) // of a body that stalls; the webhook gives up before
	switch {
	case l.forward != nil || len(l.f.answers) > 0:
		body, err := io.ReadAll(io.LimitReader(r.Body, maxInput))
		c.body = body
		if err != nil {
			c.reason = middleware.ReasonBodyUnreadable
			c.status = http.StatusBadRequest
			w.WriteHeader(c.status)
			break
		}
		l.check(c)
		if l.forward != nil {
			l.pass(w, c)
		} else {
			l.play(w, c)
		}
	default:
		r.Body = readCloser{io.TeeReader(r.Body, &limited{&seen, maxInput}), r.Body}
		answer := &recordingWriter{ResponseWriter: w}
		var refused *middleware.Refusal
		l.hook.Do(answer, r, func(_ http.ResponseWriter, r *http.Request) error {
			c.delivery, _ = middleware.FromContext(r.Context())
			return nil
		})
		c.body, c.status, c.answer = seen.Bytes(), answer.status, answer.body.Bytes()
		if c.delivery == nil {
			// Refused, or handled before: a look at the same bytes says which.
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(bytes.NewReader(c.body))
			again.ContentLength = int64(len(c.body))
			d, err := l.hook.Check(again)
			c.delivery = d
			if errors.As(err, &refused) {
				c.reason = refused.Reason
			} else if c.status != http.StatusOK && c.delivery != nil {
				c.reason = middleware.ReasonCode
			}
		}
	}
	c.took = time.Since(start)
	l.report(c)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// limited keeps the first bytes that are written.
type limited struct {
	b    *bytes.Buffer
	left int
}

func (w *limited) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.b.Write(p[:n])
	return len(p), nil
}

// recordingWriter notes what the webhook answers.
type recordingWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *recordingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recordingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body.Write(p[:min(len(p), 400)])
	return w.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (w *recordingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// check verifies without acting.
func (l *listener) check(c *arrival) {
	r := c.request.Clone(c.request.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
	d, err := l.hook.Check(r)
	c.delivery = d
	var refused *middleware.Refusal
	if errors.As(err, &refused) {
		c.reason, c.status = refused.Reason, refused.Status
	}
}

// hop are the headers of a connection, which are not passed on.
var hop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// pass hands a callback on as it came, and the answer back.
func (l *listener) pass(w http.ResponseWriter, c *arrival) {
	if l.f.onlyVerified && c.delivery == nil {
		w.WriteHeader(c.status)
		return
	}
	to := *l.forward
	if to.Path == "" || to.Path == "/" {
		to.Path, to.RawPath = c.request.URL.Path, c.request.URL.RawPath
	}
	if to.RawQuery == "" {
		to.RawQuery = c.request.URL.RawQuery
	}
	ctx, cancel := context.WithTimeout(c.request.Context(), 30*time.Second)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, c.request.Method, to.String(), bytes.NewReader(c.body))
	if err != nil {
		c.status, c.why = http.StatusBadGateway, "the request could not be built"
		w.WriteHeader(c.status)
		return
	}
	out.Header = c.request.Header.Clone()
	for _, name := range hop {
		out.Header.Del(name)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil
	}
	for name, values := range l.headers {
		out.Header[name] = values
	}
	response, err := l.client.RoundTrip(out)
	if err != nil {
		p := &poster{to: &to, timeout: 30 * time.Second}
		c.status, c.why = http.StatusBadGateway, p.failed(err).why
		w.WriteHeader(c.status)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxInput))
	c.status, c.answer = response.StatusCode, body[:min(len(body), 64<<10)]
	for name, values := range response.Header {
		if !slices.Contains(hop, name) {
			w.Header()[name] = values
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body)
}

// play answers as the flags say.
func (l *listener) play(w http.ResponseWriter, c *arrival) {
	i := min(int(c.seq)-1, len(l.f.answers)-1)
	c.status = l.f.answers[i]
	for name, values := range l.headers {
		w.Header()[name] = values
	}
	w.WriteHeader(c.status)
}

// report prints a callback, records it, and ends listen if it was awaited.
func (l *listener) report(c *arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.a
	var why *explain.Explanation
	if c.delivery == nil {
		why = l.x.Explain(c.body, explain.Options{Kind: explain.KindCallback})
	}
	if l.record != nil {
		if err := writeRecord(l.record, c); err != nil {
			l.finish(&Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot write %s: %s", l.f.record, cause(err))})
		}
	}
	if a.json {
		l.reportJSON(c, why)
	} else if !a.quiet || c.delivery == nil {
		l.reportLine(c, why)
	}
	if d := c.delivery; d != nil && c.status == http.StatusOK {
		id := d.Merchant + " " + d.OrderID + " " + d.BizpayOrderID + " " + d.Kind
		if last, ok := l.answered[id]; ok && c.at.Sub(last) < time.Second && l.forward != nil && !a.json {
			a.talk("%s order %s was acknowledged twice within a second: did the shop act once?", a.paint(a.Err, yellow, "note"), cleanWord(d.OrderID))
		}
		l.answered[id] = c.at
	}
	if l.until != nil && c.delivery != nil && l.awaited(c.delivery) {
		var result error
		if c.status != http.StatusOK {
			result = &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("the callback of order %s came, and was answered %d", cleanWord(c.delivery.OrderID), c.status)}
		}
		l.finish(result)
		return
	}
	if l.f.exitAfter > 0 && c.seq >= uint64(l.f.exitAfter) {
		l.finish(nil)
	}
}

func (l *listener) awaited(d *middleware.Delivery) bool {
	is := map[string]string{"order": d.OrderID, "kind": d.Kind, "merchant": d.Merchant}
	for name, want := range l.until {
		if is[name] != want {
			return false
		}
	}
	return true
}

func (l *listener) finish(err error) {
	if !l.ended {
		l.ended = true
		l.end <- err
	}
}

// keyWords names the key that opened a delivery.
func keyWords(d *middleware.Delivery) string {
	return fmt.Sprintf("key %d, %s", d.KeyIndex+1, d.Payload.Form)
}

func (l *listener) reportLine(c *arrival, why *explain.Explanation) {
	a := l.a
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s ", c.at.Local().Format("15:04:05.000"), a.paint(a.Out, dim, fmt.Sprintf("%-5s", fmt.Sprintf("#%d", c.seq))))
	if d := c.delivery; d != nil {
		fmt.Fprintf(&b, "%-14s %8s  %-10s %s", cleanWord(d.OrderID), cents(int64(d.Amount)), cleanWord(d.Kind), a.paint(a.Out, green, "verified")+" ("+keyWords(d)+")")
		if sign := d.SpliceSign(); sign != "" {
			b.WriteString("  " + a.paint(a.Out, yellow, "perhaps spliced: "+cleanLine(sign)))
		}
	} else {
		fmt.Fprintf(&b, "%-14s %8s  %-10s %s", "-", "-", "-", a.paint(a.Out, red, "FAIL")+" "+failWords(why, c.reason))
		if l.record != nil {
			fmt.Fprintf(&b, " (ottpay explain '%s#%d')", l.f.record, c.seq)
		}
	}
	answer := strconv.Itoa(c.status)
	if first := firstLine(c.answer); first != "" {
		answer += " " + first
	}
	if c.why != "" {
		answer += "  " + c.why
	}
	fmt.Fprintf(&b, "  -> %s  %d ms\n", answer, c.took.Milliseconds())
	if l.f.bodies && c.delivery != nil {
		fmt.Fprintf(&b, "      %s\n", cleanText(c.delivery.Payload.JSON))
	}
	if l.f.explain && why != nil {
		var text strings.Builder
		_ = why.WriteText(&text, func(kind, t string) string {
			return a.paint(a.Out, map[string]style{"FAIL": red, "ok": green}[kind], t)
		})
		for line := range strings.Lines(text.String()) {
			b.WriteString("      " + line)
		}
	}
	_, _ = io.WriteString(a.Out, b.String())
}

// failWords says why a callback did not verify.
func failWords(why *explain.Explanation, reason middleware.Reason) string {
	switch {
	case why == nil:
		return string(reason)
	case why.OK:
		return string(reason) + ": a part of the message did not arrive, or came in another way"
	}
	return string(why.Code) + ": " + why.Why
}

// cleanText returns decrypted text as it may be shown on one line.
func cleanText(b []byte) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return ' '
		}
		return c
	}, string(b))
}

func (l *listener) reportJSON(c *arrival, why *explain.Explanation) {
	more := map[string]any{"verified": c.delivery != nil}
	if c.reason != "" {
		more["reason"] = string(c.reason)
	}
	if d := c.delivery; d != nil {
		more["kind"] = d.Kind
		more["key"] = d.KeyIndex + 1
		more["form"] = d.Payload.Form.String()
		if l.f.bodies {
			more["payload"] = json.RawMessage(d.Payload.JSON)
		}
	}
	if why != nil && !why.OK {
		more["code"], more["codes"], more["why"] = why.Code, why.Codes, why.Why
		if l.f.explain {
			more["explanation"] = why
		}
	}
	if c.why != "" {
		more["why"] = c.why
	}
	line, err := mergedEvent(c.event(), more)
	if err == nil {
		fmt.Fprintf(l.a.Out, "%s\n", line)
	}
}

// event is the event of an arrival, as the sandbox writes it.
func (c *arrival) event() ottpaytest.Event {
	e := ottpaytest.Event{
		Seq: c.seq, At: c.at.UTC().Truncate(time.Millisecond), Type: ottpaytest.EventDeliveryAnswered, Message: c.seq,
		URL: c.request.URL.RequestURI(), Status: c.status, MS: c.took.Milliseconds(), Acknowledged: c.status == http.StatusOK,
	}
	if d := c.delivery; d != nil {
		e.Merchant, e.Order, e.Amount = d.Merchant, d.OrderID, d.Amount
	}
	if c.why != "" {
		e.Type = ottpaytest.EventDeliveryFailed
	}
	return e
}

// mergedEvent adds members to the JSON of an event.
func mergedEvent(e ottpaytest.Event, more map[string]any) ([]byte, error) {
	line, err := e.MarshalJSON()
	if err != nil || len(more) == 0 {
		return line, err
	}
	rest, err := json.Marshal(more)
	if err != nil {
		return nil, err
	}
	return append(append(bytes.TrimSuffix(line, []byte("}")), ','), rest[1:]...), nil
}
