package page

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

func (p *page) functions() template.FuncMap {
	return template.FuncMap{
		"u":       func(path string) string { return p.Base + path },
		"segs":    segments,
		"money":   money,
		"status":  conditionOf,
		"rfc":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"clock":   func(t time.Time) string { return t.Local().Format("15:04:05") },
		"millis":  func(t time.Time) string { return t.Local().Format("15:04:05.000") },
		"zones":   zones,
		"order":   orderPath,
		"message": messagePath,
		"dict":    dict,
		"plural":  plural,
		"str":     func(v any) string { return fmt.Sprint(v) },
		"webURL":  webURL,
	}
}

// segment is a piece of text from a shop or from the network.
type segment struct {
	Text    string
	Control bool // Text spells a character that would not be seen, or would deceive
}

// segments makes every character of a text visible: control characters, those
// that turn the direction of writing, and bytes that are not UTF-8.
func segments(text any) []segment {
	s := fmt.Sprint(text)
	var out []segment
	from := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if visible(r, size) {
			i += size
			continue
		}
		if i > from {
			out = append(out, segment{Text: s[from:i]})
		}
		spelled := fmt.Sprintf(`\u%04x`, r)
		if r == utf8.RuneError && size == 1 {
			spelled = fmt.Sprintf(`\x%02x`, s[i])
		} else if r > 0xffff {
			spelled = fmt.Sprintf(`\U%08x`, r)
		}
		out = append(out, segment{spelled, true})
		i += size
		from = i
	}
	if from < len(s) {
		out = append(out, segment{Text: s[from:]})
	}
	return out
}

func visible(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t':
		return true
	case r == utf8.RuneError && size == 1:
		return false
	}
	return !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) && r != '\u2028' && r != '\u2029'
}

// amount is money for the template of that name.
type amount struct {
	Text  string
	Title string
}

func money(c field.Cents, currency string) amount {
	text := c.Decimal()
	if currency != "" {
		text += " " + currency
	}
	return amount{text, c.String() + " cents"}
}

// condition is an order's status for people.
type condition struct {
	Word  string // the gateway's own
	Means string // paid, held, open, closed, failed, refunded
	Icon  string
	Class string
}

// conditionOf is statusOf, but a refund that succeeded was not paid: it was
// returned.
func conditionOf(o ottpaytest.Order) condition {
	c := statusOf(o.Status)
	if o.Effect == api.EffectRefund && o.Status.Paid() {
		c.Means, c.Icon = "returned", "back"
	}
	if o.Status.Refunded() && o.Refunded < o.Total() {
		c.Means = "partly refunded"
	}
	return c
}

// statusOf sorts a status by the methods of api.OrderStatus, which alone judge
// it.
func statusOf(s api.OrderStatus) condition {
	c := condition{Word: string(s), Means: "open", Icon: "open"}
	switch {
	case s.Paid():
		c.Means, c.Icon, c.Class = "paid", "ok", "good"
	case s.Refunded():
		c.Means, c.Icon, c.Class = "refunded", "back", "warn"
	case s == api.StatusAuthfinish, s == api.StatusAuthorised, s == api.StatusAuthorized:
		c.Means, c.Icon, c.Class = "held", "hold", "warn"
	case s.Final():
		c.Means, c.Icon, c.Class = "closed", "no", "bad"
	}
	return c
}

// zones writes a time where a payer, a server and the vendor have their clocks.
func zones(t time.Time) string {
	const layout = "2006-01-02 15:04:05"
	china := time.FixedZone("China", 8*60*60)
	local := ""
	if name, offset := t.Local().Zone(); offset != 0 {
		local = t.Local().Format(layout) + " " + name + " · "
	}
	return local + t.UTC().Format(layout) + " UTC · " + t.In(china).Format(layout) + " China"
}

// dict makes a map of names and values, for templates that take several.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: a name without a value")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "y") {
		return strconv.Itoa(n) + " " + strings.TrimSuffix(one, "y") + "ies"
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// webURL returns a URL that may become a link: http or https, nothing else.
func webURL(text string) string {
	lower := strings.ToLower(text)
	if strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") {
		return text
	}
	return ""
}
