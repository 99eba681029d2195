package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
)

func BenchmarkOpen(b *testing.B)      { open().run(b) }
func BenchmarkReceive(b *testing.B)   { receive().run(b) }
func BenchmarkForgery(b *testing.B)   { forgery().run(b) }
func BenchmarkWebhook(b *testing.B)   { webhook().run(b) }
func BenchmarkRoundTrip(b *testing.B) { roundTrip().run(b) }

// BenchmarkThroughput reports the webhook's requests a second over loopback as
// a share of a bare handler's.
func BenchmarkThroughput(b *testing.B) {
	for b.Loop() {
		t := MeasureThroughput(b, 5, 8, 500*time.Millisecond)
		b.ReportMetric(t.Ratio(), "of-bare")
		b.ReportMetric(median(t.Webhook), "req/s")
	}
}

// TestPeers checks that every row does the work that it is timed for: it opens
// the honest message and refuses the forged one.
func TestPeers(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		body, header := p.sign([]byte(seedPayload), "evt_1", now())
		n, err := p.receive(newRequests(body, header).next())
		if err != nil || n.Amount != "1" || n.OrderID != "2020041553699O153O0407" {
			t.Errorf("%s: %+v, %v", p.name, n, err)
		}
		changed := []byte(strings.Replace(string(body), "1", "2", 1))
		if _, err := p.receive(newRequests(changed, header).next()); err == nil {
			t.Errorf("%s accepts a forgery", p.name)
		}
	}
}

// TestAfternoon is the same for the plain version.
func TestAfternoon(t *testing.T) {
	t.Parallel()
	r, body := seal(t, signKey)
	n, err := plainReceive(newValidator(), signKey, body)
	if err != nil || n.Amount != "1" || n.OrderID != "2020041553699O153O0407" {
		t.Errorf("afternoon: %+v, %v", n, err)
	}
	if _, err := plainOpen(signKey, envelope.Sealed{Data: r.Data, MD5: "00000000000000000000000000000000"}); err == nil {
		t.Error("the plain version opens a forgery")
	}
}

// TestProbes states the kit's answers. The peers' are only reported: they
// belong to their authors.
func TestProbes(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"the same bytes twice":              "200, 200, handled 1×",
		"the same event twice, signed anew": "200, 200, handled 1×",
		"eight at once":                     "handled 1×",
		"the handler fails":                 "503, 200, handled 1×",
		"the handler panics":                "503",
		"signed an hour ahead":              "200", // the protocol has no time
		"a body of 10 MiB":                  "413, 0 KiB read",
		"an empty body":                     "400",
	}
	answers, names := Ask(t)
	for i, p := range Probes() {
		if names[0] != "ottpay" || answers[i][0] != want[p.Name] {
			t.Errorf("%s: %s answers %q, want %q", p.Name, names[0], answers[i][0], want[p.Name])
		}
	}
}
