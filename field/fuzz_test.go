package field_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/field"
)

// slowCents is the slow and obvious reading of an amount: a string of 1 to 15
// ASCII digits, or a number whose exact value is whole and in that range.
func slowCents(value string) (int64, bool) {
	if !json.Valid([]byte(value)) || value != strings.TrimSpace(value) {
		return 0, false
	}
	var text string
	if json.Unmarshal([]byte(value), &text) == nil && value[0] == '"' {
		if len(text) < 1 || len(text) > 15 || strings.Trim(text, "0123456789") != "" {
			return 0, false
		}
		n, ok := new(big.Int).SetString(text, 10)
		return n.Int64(), ok
	}
	if value[0] == '-' || value[0] < '0' || value[0] > '9' || len(value) > 100 {
		return 0, false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(value), "e"); ok && len(strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0")) > 3 {
		// Out of range, unless the digits are all 0.
		return 0, strings.Trim(value[:strings.IndexAny(value, "eE")], "0.") == ""
	}
	r, ok := new(big.Rat).SetString(value)
	if !ok || !r.IsInt() || len(r.Num().String()) > 15 {
		return 0, false
	}
	return r.Num().Int64(), true
}

// FuzzCents: an amount is read as the slow version reads it, and written again
// as digits that are read as the same amount.
func FuzzCents(f *testing.F) {
	for _, seed := range []string{
		`1`, `"1"`, `0`, `"0"`, `"000000000000001"`, `"0000000000000001"`, `999999999999999`, `1000000000000000`, `"999999999999999"`, `1.0`, `1.00e2`, `100e-2`, `1.5`, `15e-1`, `150e-1`, `1e14`, `1e15`, `0e999`, `1e999`, `1e-999`, `0.0e-5`,
		`-1`, `-0`, `"-1"`, `" 1"`, `"1 "`, `"10.00"`, `""`, `null`, `true`, `{}`, `[]`, `"\u0031"`, `"\u0030\u0031"`, `"٣"`, `1.`, `.5`, `01`, `1e`, `"1`, ` 1`, `1 `, `123456789012345e0`, `1234567890123456e-1`, `1234567890123450e-1`, `0.000000000000001e15`, `9E2`,
		`1e9223372036854775807`, `1e99999999999999999999`, `0.0000000000000000000000000000001e31`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if len(value) > 100 {
			return
		}
		var c field.Cents
		err := c.UnmarshalJSON([]byte(value))
		want, ok := slowCents(value)
		if (err == nil) != ok || ok && int64(c) != want {
			t.Fatalf("%q: %d, %v; the slow version says %d, %v", value, c, err, want, ok)
		}
		var digits field.Cents
		if err := digits.UnmarshalDigits([]byte(value)); err == nil && (!ok || digits != c || c == 0 || value[0] != '"') {
			t.Fatalf("%q: read as a request's amount %d", value, digits)
		}
		if !ok {
			return
		}
		out, err := c.MarshalJSON()
		var again field.Cents
		if err != nil || again.UnmarshalJSON(out) != nil || again != c {
			t.Fatalf("%q: written as %s, %v", value, out, err)
		}
		if c > 0 && (digits.UnmarshalDigits(out) != nil || digits != c) {
			t.Fatalf("%s: not an amount of a request", out)
		}
	})
}

// FuzzTime: no text panics; what is read is a time that its own text names.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{"20200416050429", "2020-04-16 05:04:29 CST", "Apr 16, 2020, 5:04:29\u202fAM EDT", "2.0200416050429E13", "", " ", "2020-04-16 05:04:29 +08:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, assumed, err := field.Time(text).Parse()
		trade, tradeAssumed, tradeErr := field.Time(text).ParseTrade()
		zone, known := field.Time(text).Zone()
		if (err == nil) != (tradeErr == nil) || assumed != tradeAssumed {
			t.Fatalf("%q: %v, %v; %v, %v", text, assumed, err, tradeAssumed, tradeErr)
		}
		if err != nil {
			if zone != "" || !at.IsZero() || strings.Contains(err.Error(), text) && len(text) > 4 {
				t.Fatalf("%q: %v, zone %q, %v", text, at, zone, err)
			}
			return
		}
		if known == assumed || known && !at.Equal(trade) || !strings.HasSuffix(text, zone) {
			t.Fatalf("%q: zone %q, known %v, assumed %v, %v and %v", text, zone, known, assumed, at, trade)
		}
		if again, _, err := field.Time(at.Format("20060102150405")).Parse(); err != nil || assumed && !again.Equal(at) {
			t.Fatalf("%q: %v, again %v, %v", text, at, again, err)
		}
	})
}
