package field

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/wire"
)

// MaxCents is the largest amount that is read: fifteen digits.
const MaxCents Cents = 999_999_999_999_999

// Cents is an amount in the smallest unit of its currency: 100 is 1.00 dollar,
// and 1 is one yen. On the wire it is a string of digits. A JSON number with an
// integral value is read as well. See docs/protocol.md, section 5.
type Cents int64

// AmountError means that a text is not an amount. Its message does not quote the
// text, so it may be logged.
type AmountError struct {
	// Raw is the text as it came, with its JSON quotation marks if it had any.
	Raw string
}

// Error returns the reason without the text.
func (e *AmountError) Error() string {
	return "field: not an amount in whole cents of 1 to 15 digits"
}

// Format writes the error's text, whatever the verb.
func (e AmountError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// ParseCents reads 1 to 15 ASCII digits, and nothing else, as whole cents.
// The error is an *AmountError.
func ParseCents(digits string) (Cents, error) {
	n, ok := parseDigits(digits)
	if !ok {
		return 0, &AmountError{Raw: digits}
	}
	return Cents(n), nil
}

// ParseDecimal reads an amount of a currency with two decimals as people write
// it: "12.34", "12.3" or "12". Signs, blanks, thousands separators and a third
// decimal are errors. The error is an *AmountError.
func ParseDecimal(text string) (Cents, error) {
	whole, part, point := strings.Cut(text, ".")
	switch {
	case whole == "" || point && part == "" || len(part) > 2:
		return 0, &AmountError{Raw: text}
	case len(part) == 1:
		part += "0"
	case len(part) == 0:
		part = "00"
	}
	n, ok := parseDigits(strings.TrimLeft(whole, "0") + part)
	if !ok {
		return 0, &AmountError{Raw: text}
	}
	return Cents(n), nil
}

// String returns the digits, as they are on the wire.
func (c Cents) String() string { return strconv.FormatInt(int64(c), 10) }

// Decimal returns an amount of a currency with two decimals as people write it,
// such as "12.34".
func (c Cents) Decimal() string { return decimal(int64(c), 2) }

// AppendText appends the digits. An amount below zero or above MaxCents cannot be
// sent: the error is an *AmountError.
func (c Cents) AppendText(b []byte) ([]byte, error) {
	if c < 0 || c > MaxCents {
		return b, &AmountError{Raw: c.String()}
	}
	return strconv.AppendInt(b, int64(c), 10), nil
}

// MarshalJSON writes the digits as a JSON string.
func (c Cents) MarshalJSON() ([]byte, error) {
	b, err := c.AppendText([]byte{'"'})
	if err != nil {
		return nil, err
	}
	return append(b, '"'), nil
}

// UnmarshalJSON reads a string of 1 to 15 ASCII digits, or a number with an
// integral value in that range. For anything else, null included, the error is an
// *AmountError.
func (c *Cents) UnmarshalJSON(data []byte) error {
	n, ok := parseInteger(data)
	if !ok {
		return &AmountError{Raw: string(data)}
	}
	*c = Cents(n)
	return nil
}

// UnmarshalDigits reads an amount of a request: a JSON string of 1 to 15 ASCII
// digits, the first of which is not 0. For anything else the error is an
// *AmountError.
func (c *Cents) UnmarshalDigits(data []byte) error {
	text := textOf(data)
	n, ok := parseDigits(text)
	if !ok || text[0] == '0' {
		return &AmountError{Raw: string(data)}
	}
	*c = Cents(n)
	return nil
}

// Rate is an exchange rate in CNY, times ten to the eighth: 650000000 is 6.5. On
// the wire it looks like Cents.
type Rate int64

// Decimal returns the rate with its eight decimals: "6.50000000".
func (r Rate) Decimal() string { return decimal(int64(r), 8) }

// String returns the digits, as they are on the wire.
func (r Rate) String() string { return strconv.FormatInt(int64(r), 10) }

// AppendText appends the digits. The error of a rate that cannot be sent is an
// *AmountError.
func (r Rate) AppendText(b []byte) ([]byte, error) { return Cents(r).AppendText(b) }

// MarshalJSON writes the digits as a JSON string.
func (r Rate) MarshalJSON() ([]byte, error) { return Cents(r).MarshalJSON() }

// UnmarshalJSON reads what Cents.UnmarshalJSON reads.
func (r *Rate) UnmarshalJSON(data []byte) error { return (*Cents)(r).UnmarshalJSON(data) }

// decimal writes n with its last places digits behind a point.
func decimal(n int64, places int) string {
	sign := ""
	digits := strconv.FormatInt(n, 10)
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	if short := places + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	point := len(digits) - places
	return sign + digits[:point] + "." + digits[point:]
}

// parseDigits reads 1 to 15 digits. Fifteen never overflow.
func parseDigits[T string | []byte](s T) (int64, bool) {
	if len(s) == 0 || len(s) > 15 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// parseInteger reads a JSON string of digits, or a JSON number whose value is
// whole. Escapes in the string are resolved first: they are only its spelling.
func parseInteger(value []byte) (int64, bool) {
	if len(value) > 0 && value[0] == '"' {
		return parseDigits(textOf(value))
	}
	if !wire.IsNumber(value) || value[0] == '-' || value[len(value)-1] <= ' ' || !wire.Valid(value) {
		return 0, false // white space is valid around a value, and not a part of it
	}
	return parseWhole(string(value))
}

// textOf returns the text of a JSON string, or nil if value is none. Without an
// escape it is a part of value.
func textOf(value []byte) []byte {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return value[1 : n-1]
	}
	text, _ := wire.Text(value)
	return []byte(text)
}

// parseWhole returns the value of a JSON number that is not negative, if it is
// whole: 1, 1.0, 1e2 and 100e-2 are, 1.5 is not.
func parseWhole(number string) (int64, bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	whole, part, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+part, "0")
	if digits == "" {
		return 0, true
	}
	shift := int64(0)
	if exponent != "" {
		var err error
		// Of 32 bits, so that the sum below cannot overflow.
		if shift, err = strconv.ParseInt(exponent, 10, 32); err != nil {
			return 0, false
		}
	}
	significant := strings.TrimRight(digits, "0")
	// The value is significant × 10^zeros.
	zeros := int64(len(digits)-len(significant)-len(part)) + shift
	if zeros < 0 || int64(len(significant))+zeros > 15 {
		return 0, false
	}
	return parseDigits(significant + strings.Repeat("0", int(zeros)))
}
