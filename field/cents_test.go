package field_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/field"
)

func TestCentsReadsWholeAmountsOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		json string
		want field.Cents
		ok   bool
	}{
		{`"0"`, 0, true},
		{`"100"`, 100, true},
		{`"007"`, 7, true},
		{`"\u0031\u0030"`, 10, true},
		{`"999999999999999"`, field.MaxCents, true},
		{`0`, 0, true},
		{`0.0`, 0, true},
		{`1`, 1, true},
		{`1.0`, 1, true},
		{`1e2`, 100, true},
		{`1E+2`, 100, true},
		{`100e-2`, 1, true},
		{`1.5e1`, 15, true},
		{`999999999999999`, field.MaxCents, true},
		{`0e999`, 0, true},
		{`"1000000000000000"`, 0, false},
		{`1000000000000000`, 0, false},
		{`1e15`, 0, false},
		{`1e99999999999999999999`, 0, false},
		{`1e9223372036854775807`, 0, false},
		{`1e-9223372036854775808`, 0, false},
		{`1.5`, 0, false},
		{`15e-1`, 0, false},
		{`-1`, 0, false},
		{`-0`, 0, false},
		{`"10.00"`, 0, false},
		{`"-1"`, 0, false},
		{`"+1"`, 0, false},
		{`" 1"`, 0, false},
		{`"1 "`, 0, false},
		{`"1e2"`, 0, false},
		{`"0x1"`, 0, false},
		{`"٣"`, 0, false},
		{`""`, 0, false},
		{`null`, 0, false},
		{`true`, 0, false},
		{`["1"]`, 0, false},
		{`{}`, 0, false},
		{`NaN`, 0, false},
		{`01`, 0, false},
		{`"1`, 0, false},
		{``, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			t.Parallel()
			var got field.Cents
			err := got.UnmarshalJSON([]byte(tt.json))
			if tt.ok {
				if err != nil || got != tt.want {
					t.Fatalf("got %d, %v; want %d", got, err, tt.want)
				}
				return
			}
			var bad *field.AmountError
			if !errors.As(err, &bad) {
				t.Fatalf("got %d, %v; want an *AmountError", got, err)
			}
			if bad.Raw != tt.json {
				t.Errorf("raw text is %q", bad.Raw)
			}
			if got != 0 {
				t.Errorf("a refused amount left %d", got)
			}
		})
	}
}

func TestAmountErrorDoesNotQuote(t *testing.T) {
	t.Parallel()
	_, err := field.ParseCents("12.3456")
	if err == nil || strings.Contains(err.Error(), "12.3456") {
		t.Fatalf("got %v", err)
	}
}

func TestCentsWritesDigits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c    field.Cents
		want string
	}{{0, `"0"`}, {5, `"5"`}, {123456, `"123456"`}, {field.MaxCents, `"999999999999999"`}} {
		got, err := json.Marshal(tt.c)
		if err != nil || string(got) != tt.want {
			t.Errorf("%d: got %s, %v; want %s", int64(tt.c), got, err, tt.want)
		}
	}
	for _, c := range []field.Cents{-1, field.MaxCents + 1} {
		if got, err := json.Marshal(c); err == nil {
			t.Errorf("%d: written as %s", int64(c), got)
		}
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want field.Cents
		back string
	}{
		{"12.34", 1234, "12.34"},
		{"19.99", 1999, "19.99"},
		{"12.3", 1230, "12.30"},
		{"12", 1200, "12.00"},
		{"0.05", 5, "0.05"},
		{"0", 0, "0.00"},
		{"000000000000000000001.00", 100, "1.00"},
		{"9999999999999.99", field.MaxCents, "9999999999999.99"},
	} {
		got, err := field.ParseDecimal(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q: got %d, %v; want %d", tt.text, got, err, tt.want)
		}
		if back := got.Decimal(); back != tt.back {
			t.Errorf("%q: comes back as %q, want %q", tt.text, back, tt.back)
		}
	}
	for _, text := range []string{"", ".", ".5", "1.", "1.234", "-1", "+1", " 1", "1,00", "1.0x", "x.00", "1e2", "10000000000000.00", "0x.10", "1.2.3"} {
		if got, err := field.ParseDecimal(text); err == nil {
			t.Errorf("%q: read as %d", text, got)
		}
	}
	if got := field.Cents(-5).Decimal(); got != "-0.05" {
		t.Errorf("-5 is %q", got)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`650000000`, `"650000000"`, `6.5E8`} {
		var r field.Rate
		if err := json.Unmarshal([]byte(raw), &r); err != nil || r.Decimal() != "6.50000000" {
			t.Errorf("%s: got %s, %v", raw, r.Decimal(), err)
		}
	}
	var r field.Rate
	if err := json.Unmarshal([]byte(`6.5`), &r); err == nil {
		t.Errorf("6.5 read as %d", int64(r))
	}
}

// TestAmountErrors: whatever refuses an amount says so by an AmountError that
// has the text, and hands out no amount.
func TestAmountErrors(t *testing.T) {
	t.Parallel()
	check := func(name, raw string, got field.Cents, err error) {
		t.Helper()
		var bad *field.AmountError
		if got != 0 || !errors.As(err, &bad) || bad.Raw != raw {
			t.Errorf("%s: %d, %v, want an AmountError with %q", name, got, err, raw)
			return
		}
		if text := fmt.Sprintf("%v %+v %s", *bad, *bad, bad); strings.Contains(text, raw) {
			t.Errorf("%s: printed as %s", name, text)
		}
	}
	got, err := field.ParseCents("12a45")
	check("ParseCents", "12a45", got, err)
	for _, text := range []string{"12.345", "1a.00", "12345678901234.00"} {
		got, err = field.ParseDecimal(text)
		check("ParseDecimal", text, got, err)
	}
	for _, value := range []string{`"0123"`, `12345`, `"\u00301"`, `"12 45"`, `null`, `"12345`, `12345"`} {
		var c field.Cents
		check("UnmarshalDigits", value, c, c.UnmarshalDigits([]byte(value)))
	}
	b, err := field.Cents(-12345).AppendText([]byte("kept"))
	if string(b) != "kept" {
		t.Errorf("appended %q", b)
	}
	check("AppendText", "-12345", 0, err)
	b, err = field.Rate(-12345).AppendText([]byte("kept"))
	if string(b) != "kept" {
		t.Errorf("appended %q", b)
	}
	check("Rate", "-12345", 0, err)
	if out, err := field.Cents(-12345).MarshalJSON(); out != nil || err == nil {
		t.Errorf("written as %s, %v", out, err)
	}
}

func TestAmountsAsText(t *testing.T) {
	t.Parallel()
	if c, err := field.ParseCents("000000000001999"); err != nil || c != 1999 || c.String() != "1999" {
		t.Errorf("got %v, %v", c, err)
	}
	if got := field.Cents(0).Decimal() + " " + field.Rate(0).Decimal() + " " + field.Rate(650000000).String() + " " + field.Rate(1).Decimal() + " " + field.Cents(100).Decimal(); got != "0.00 0.00000000 650000000 0.00000001 1.00" {
		t.Errorf("got %s", got)
	}
	var c field.Cents
	if err := c.UnmarshalDigits([]byte(`"\u0031999"`)); err != nil || c != 1999 {
		t.Errorf("got %d, %v", c, err)
	}
}
