package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// reply is what came of one request to a shop.
type reply struct {
	status int // 0: there was no answer
	body   []byte
	took   time.Duration
	why    string // why there was no answer
	unsent bool   // nothing reached the shop
	refuse *Failure
}

func (r reply) acknowledged() bool { return r.status == http.StatusOK }

// poster posts to a shop: to this machine and its private network, judged when
// the connection is made, and to the hosts that were allowed by name. It knows
// no proxy and follows no redirect.
type poster struct {
	to        *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// postFlags are the flags of commands that post to a shop.
type postFlags struct {
	to      string
	allow   []string
	timeout time.Duration
}

func (a *app) poster(f *postFlags) (*poster, error) {
	if f.to == "" {
		return nil, usagef("--to URL names the shop's callback address").hint("such as --to http://127.0.0.1:3000/ottpay")
	}
	to, err := parseHTTP(f.to, "--to")
	if err != nil {
		return nil, err
	}
	return &poster{to: to, transport: sandbox.Callbacks(sandbox.CallbackConfig{Allow: f.allow}), timeout: f.timeout}, nil
}

// send sends a request that the caller has built and reads the answer.
func (p *poster) send(ctx context.Context, r *http.Request) reply {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	start := time.Now()
	response, err := p.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		out := p.failed(err)
		out.took = time.Since(start)
		return out
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	out := reply{status: response.StatusCode, body: body, took: time.Since(start)}
	if err != nil {
		out.why = "the answer breaks off"
	}
	return out
}

// failed says in words why there was no answer.
func (p *poster) failed(err error) reply {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ottpaytest.ErrBlocked):
		return reply{why: "blocked", unsent: true, refuse: blocked(p.to)}
	case errors.As(err, &dns):
		return reply{why: "there is no host " + p.to.Hostname(), unsent: true, refuse: &Failure{
			Code: CodeNo, Kind: KindRefused, Message: "there is no host " + p.to.Hostname(),
		}}
	case errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "refused"):
		return reply{why: "nothing listens", unsent: true, refuse: &Failure{
			Code: CodeNo, Kind: KindRefused, Message: "nothing listens on " + hostPort(p.to),
		}}
	case errors.Is(err, context.DeadlineExceeded):
		return reply{why: fmt.Sprintf("no answer within %s", p.timeout)}
	case errors.Is(err, context.Canceled):
		return reply{why: "stopped"}
	}
	return reply{why: "the connection ended without an answer"}
}

// blocked says that a callback would leave this machine.
func blocked(to *url.URL) *Failure {
	f := &Failure{
		Code: CodeNo, Kind: KindRefused,
		Message: fmt.Sprintf("the callback to %s was not sent: %s is not on this machine or network", cleanLine(to.Redacted()), to.Hostname()),
	}
	return f.hint("--allow-callback %s if you mean it", to.Hostname())
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
		if port == "" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// answerWords says what a shop answered.
func (r reply) answerWords() string {
	if r.status == 0 {
		return "no answer: " + r.why
	}
	text := fmt.Sprint(r.status)
	if first := firstLine(r.body); first != "" {
		text += " " + first
	}
	return text
}

// firstLine returns what may be shown of an answer's body.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), 400)])), "\n")
	line = cleanLine(line)
	if r := []rune(line); len(r) > 40 {
		line = string(r[:39]) + "…"
	}
	return line
}
