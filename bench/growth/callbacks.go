package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// timing is how long a row is measured, and how often. The rows of a table take
// turns, so that a slow minute of the machine meets all of them.
type timing struct {
	rounds int
	each   time.Duration
}

// figure is what one call costs: the median of the rounds.
type figure struct {
	ns            float64
	allocs, bytes int64
	rounds        []float64 // ns
}

// measure measures functions in turn, round after round.
func (t timing) measure(fns []func() error) ([]figure, error) {
	figures := make([]figure, len(fns))
	for range t.rounds {
		for i, fn := range fns {
			f := &figures[i]
			ns, err := f.round(t.each, fn)
			if err != nil {
				return nil, err
			}
			f.rounds = append(f.rounds, ns)
		}
	}
	for i := range figures {
		figures[i].ns = median(figures[i].rounds)
	}
	return figures, nil
}

// round calls fn for at least so long, in runs that double, and measures the
// last of them.
func (f *figure) round(each time.Duration, fn func() error) (ns float64, err error) {
	var before, after runtime.MemStats
	for n := int64(1); ; n *= 2 {
		runtime.ReadMemStats(&before)
		start := processorTime()
		for range n {
			if err := fn(); err != nil {
				return 0, err
			}
		}
		took := processorTime() - start
		runtime.ReadMemStats(&after)
		if took >= each {
			f.allocs, f.bytes = int64(after.Mallocs-before.Mallocs)/n, int64(after.TotalAlloc-before.TotalAlloc)/n
			return float64(took.Nanoseconds()) / float64(n), nil
		}
	}
}

// ratio is the median of the rounds' ratios.
func ratio(a, b figure) float64 {
	all := make([]float64, len(a.rounds))
	for i := range all {
		all[i] = a.rounds[i] / b.rounds[i]
	}
	return median(all)
}

// limitOfBody is the longest body that the webhook reads.
const limitOfBody = 64 << 10

// shape is how a payload becomes long.
type shape struct {
	name string
	fill func(n int) string // further members of about n bytes
}

var shapes = []shape{
	{"one long member", func(n int) string { return `,"remark":"` + strings.Repeat("x", max(0, n-12)) + `"` }},
	{"many short members", func(n int) string {
		var b strings.Builder
		rng := rand.New(rand.NewPCG(1, 2))
		for i := 0; b.Len()+20 < n; i++ {
			fmt.Fprintf(&b, `,"m%08x%04x":"1"`, rng.Uint32(), i) // in no order
		}
		b.WriteString(strings.Repeat(" ", max(0, n-b.Len())))
		return b.String()
	}},
}

// callback returns the longest callback of a shape whose body is no longer than
// size.
func callback(key envelope.Key, s shape, size int) (payload, body []byte, err error) {
	whole, _ := strings.CutSuffix(seedPayload, "}")
	for n := size * 3 / 4; ; n -= 4 {
		text := whole + "}"
		if n > 0 {
			text = whole + s.fill(n) + "}"
		}
		body, err := seal(key, merchantID, text)
		if err != nil || len(body) <= size || n <= 0 {
			return []byte(text), body, err
		}
	}
}

// post is a request that can be made again and again at no cost.
type post struct {
	bytes.Reader
	body []byte
	r    *http.Request
}

func newPost(body []byte) *post {
	p := &post{body: body, r: httptest.NewRequest(http.MethodPost, "/", nil)}
	p.r.ContentLength = int64(len(body))
	return p
}

// Close implements [io.Closer].
func (p *post) Close() error { return nil }

func (p *post) request() *http.Request {
	p.Reset(p.body)
	p.r.Body = p
	return p.r
}

var _ io.ReadCloser = (*post)(nil)

// checks returns a function that has w check the body, and fails if that is not
// as wanted.
func checks(w *middleware.Webhook, body []byte) func() error {
	p := newPost(body)
	return func() error {
		_, err := w.Check(p.request())
		return err
	}
}

// newWebhook returns a webhook that runs on the callback's word, because here is
// no gateway.
func newWebhook(keys middleware.Keys, store dedupe.Store, logger slog.Handler) (*middleware.Webhook, error) {
	return ottpay.NewWebhook(middleware.Config{
		Keys: keys, Store: store, Logger: slog.New(logger), InsecureTrustCallback: true,
	})
}

func newMemory() *dedupe.Memory { return dedupe.NewMemory(dedupe.MemoryConfig{}) }

// sizes measures Webhook.Check by the size of the body.
func sizes(_ context.Context, p *page, t timing, bodies []int) error {
	key, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	w, err := newWebhook(middleware.StaticKeys{merchantID: {key}}, newMemory(), slog.DiscardHandler)
	if err != nil {
		return err
	}
	p.printf("\n### A callback by its size\n\n")
	p.printf("`Webhook.Check`, from the body's bytes to a verified, decoded and validated notification, by the size of the body, up to the largest that the webhook reads.\n")
	p.printf("No callback that the vendor shows is longer than the first row; what makes the others long is members that the document does not know.\n")
	for _, s := range shapes {
		var fns []func() error
		var lengths, payloads []int
		for _, size := range bodies {
			payload, body, err := callback(key, s, size)
			if err != nil {
				return err
			}
			lengths, payloads = append(lengths, len(body)), append(payloads, len(payload))
			fns = append(fns, checks(w, body))
		}
		figures, err := t.measure(fns)
		if err != nil {
			return err
		}
		p.printf("\n%s:\n\n| body, bytes | payload, bytes | µs | µs per KiB of body | allocs | bytes |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n", capital(s.name))
		base := len(figures) - 1
		for i, f := range figures {
			p.printf("| %s | %s | %.2f | %.2f | %d | %s |\n", thousands(int64(lengths[i])), thousands(int64(payloads[i])),
				f.ns/1000, f.ns/1000*1024/float64(lengths[i]), f.allocs, thousands(f.bytes))
			if bodies[i] == 16<<10 {
				base = i
			}
		}
		last := len(figures) - 1
		p.printf("\nA KiB of the largest costs %.2f of what one of %s bytes does.\n",
			ratio(figures[last], figures[base])*float64(lengths[base])/float64(lengths[last]), thousands(int64(lengths[base])))
	}
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// keysAndMerchants measures Webhook.Check by the number of a merchant's live
// keys and by that of merchants.
func keysAndMerchants(_ context.Context, p *page, t timing, keys, merchants []int) error {
	right, err := envelope.NewKey(signKey)
	if err != nil {
		return err
	}
	body, err := seal(right, merchantID, seedPayload)
	if err != nil {
		return err
	}
	var fns []func() error
	add := func(known middleware.StaticKeys) error {
		w, err := newWebhook(known, newMemory(), slog.DiscardHandler)
		fns = append(fns, checks(w, body))
		return err
	}
	for _, n := range keys {
		var live []envelope.Key
		for i := range n - 1 {
			live = append(live, must(envelope.NewKey(fmt.Sprintf("OTHER-KEY-%06d", i))))
		}
		if err := add(middleware.StaticKeys{merchantID: append(live, right)}); err != nil {
			return err
		}
	}
	for _, n := range merchants {
		known := middleware.StaticKeys{merchantID: {right}}
		for i := range n - 1 {
			known[fmt.Sprintf("QC%08d", 50_000_000+i)] = []envelope.Key{must(envelope.NewKey(fmt.Sprintf("KEY-OF-%09d", i)))}
		}
		if err := add(known); err != nil {
			return err
		}
	}
	figures, err := t.measure(fns)
	if err != nil {
		return err
	}
	p.printf("\n### Keys and merchants\n\n`Webhook.Check` of the vendor's published callback, under the last of the merchant's live keys, and with `StaticKeys` of many merchants.\n\n")
	p.printf("| | µs | × | allocs | bytes |\n| --- | ---: | ---: | ---: | ---: |\n")
	row := func(what string, f, base figure) {
		p.printf("| %s | %.2f | %.2f | %d | %s |\n", what, f.ns/1000, ratio(f, base), f.allocs, thousands(f.bytes))
	}
	for i, n := range keys {
		row(plural(n, "live key", "live keys"), figures[i], figures[0])
	}
	for i, n := range merchants {
		row(plural(n, "merchant", "merchants"), figures[len(keys)+i], figures[len(keys)])
	}
	return nil
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + more
}
