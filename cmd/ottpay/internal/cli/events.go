package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// follow prints a gateway's events until ctx ends, and then those that are
// left.
func (a *app) follow(ctx context.Context, g *ottpaytest.Gateway) {
	var last uint64
	for {
		changed := g.Changed()
		events, _ := g.Events(last)
		for _, e := range events {
			last = e.Seq
			a.event(e)
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done(): // one more look
		}
	}
}

// event prints one event: as JSON, or the ones that tell a story as a line.
func (a *app) event(e ottpaytest.Event) {
	if a.json {
		if e.Type == ottpaytest.EventReady {
			return // said already, with the addresses
		}
		if line, err := e.MarshalJSON(); err == nil {
			fmt.Fprintf(a.Out, "%s\n", line)
		}
		return
	}
	if a.quiet {
		return
	}
	if line := a.eventLine(e); line != "" {
		fmt.Fprintf(a.Out, "%s  %s %s\n", e.At.Local().Format("15:04:05.000"), a.paint(a.Out, dim, fmt.Sprintf("%-5s", fmt.Sprintf("#%d", e.Seq))), line)
	}
}

// eventLine returns what a line says about an event, "" for those that are
// told by others.
func (a *app) eventLine(e ottpaytest.Event) string {
	order := orDash(e.Order)
	amount := "-"
	if e.Amount != 0 {
		amount = cents(int64(e.Amount)) + blankBefore(e.Currency)
	}
	fault := ""
	if e.Fault != "" {
		fault = "   " + a.paint(a.Out, yellow, "fault "+e.Fault)
	}
	switch e.Type {
	case ottpaytest.EventRequestReceived:
		code := e.Code
		if code != string(api.CodeSuccess) {
			code = a.paint(a.Out, yellow, code)
		}
		line := fmt.Sprintf("request   %-12s %-12s %10s   %s   %d ms%s", orDash(cleanWord(string(e.Action))), cleanWord(order), amount, code, e.MS, fault)
		if len(e.Lenient) > 0 {
			line += "   lenient: " + strings.Join(e.Lenient, ", ")
		}
		return line
	case ottpaytest.EventOrderStatus:
		by := ""
		if e.By != "" {
			by = "   by the " + e.By
		}
		return fmt.Sprintf("%-9s %-12s %s", statusWord(e.To), cleanWord(order), strings.TrimSpace(by))
	case ottpaytest.EventDeliveryAnswered:
		verdict := a.paint(a.Out, green, "acknowledged")
		if !e.Acknowledged {
			verdict = a.paint(a.Out, yellow, "not acknowledged")
		}
		return fmt.Sprintf("callback  %-12s %-8s -> %d %s   %d ms%s", cleanWord(order), tryWord(e), e.Status, verdict, e.MS, fault)
	case ottpaytest.EventDeliveryFailed:
		return fmt.Sprintf("callback  %-12s %-8s -> %s%s", cleanWord(order), tryWord(e), a.paint(a.Out, red, "no answer: "+cleanWord(e.Why)), fault)
	case ottpaytest.EventDeliveryBlocked:
		return fmt.Sprintf("%s  %-12s the callback to %s was not sent: %s", a.paint(a.Out, red, "blocked "), cleanWord(order), cleanLine(e.URL), cleanLine(e.Why)) +
			"\n" + strings.Repeat(" ", 20) + "hint: --callback-to http://127.0.0.1:3000 sends all callbacks there; --allow-callback HOST if you mean it"
	case ottpaytest.EventFaultHit:
		if strings.HasPrefix(e.Fault, string(ottpaytest.ToClient)) {
			return "" // the request's line says it
		}
		return fmt.Sprintf("fault     %-12s %s took effect", cleanWord(order), e.Fault)
	case ottpaytest.EventPageOpened:
		if a.verbose {
			return fmt.Sprintf("page      %-12s opened by the payer", cleanWord(order))
		}
	case ottpaytest.EventDeliveryScheduled:
		if a.verbose {
			return fmt.Sprintf("callback  %-12s %-8s due at %s", cleanWord(order), tryWord(e), e.Due.Local().Format("15:04:05"))
		}
	case ottpaytest.EventClockAdvanced:
		return fmt.Sprintf("clock     set forward by %s", e.Advance)
	case ottpaytest.EventReset:
		return "reset     " + orDash(e.Merchant)
	case ottpaytest.EventConfigChanged:
		return "config    " + strings.TrimSpace(e.Merchant+" "+e.Why)
	}
	return ""
}

func tryWord(e ottpaytest.Event) string {
	if e.Try > 0 {
		return fmt.Sprintf("try %d", e.Try)
	}
	return string(e.Kind)
}

// statusWord is how a status reads in the log.
func statusWord(s api.OrderStatus) string {
	if s == api.StatusSuccess {
		return "paid"
	}
	return cleanWord(string(s))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func blankBefore(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// cents writes an amount in dollars and cents.
func cents(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// cleanLine is cleanWord for longer texts.
func cleanLine(s string) string {
	var words []string
	for i, w := range strings.Fields(s) {
		if i == 40 {
			words = append(words, "…")
			break
		}
		if len(w) > 200 {
			w = w[:200] + "…"
		}
		words = append(words, strings.Map(func(c rune) rune {
			if c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
				return '?'
			}
			return c
		}, w))
	}
	return strings.Join(words, " ")
}
