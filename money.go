package ottpay

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// Currency is one of the marker types below. A merchant has one, and the
// gateway's notifications do not name it.
type Currency interface {
	CAD | USD | CNY | JPY
	// Code returns the three letters that requests carry.
	Code() string
	decimals() int
}

// The currencies.
type (
	CAD struct{} // Canadian dollar
	USD struct{} // US dollar
	CNY struct{} // Chinese yuan
	JPY struct{} // Japanese yen, which has no cents
)

func (CAD) Code() string  { return "CAD" }
func (CAD) decimals() int { return 2 }
func (USD) Code() string  { return "USD" }
func (USD) decimals() int { return 2 }
func (CNY) Code() string  { return "CNY" }
func (CNY) decimals() int { return 2 }
func (JPY) Code() string  { return "JPY" }
func (JPY) decimals() int { return 0 }

// Money is an amount of one currency, exact, never below zero and of at most
// fifteen digits in the currency's smallest unit. Adding Canadian to US
// dollars, or a number to either, does not compile. The zero value is nothing.
//
//	price, err := ottpay.ParseMoney[ottpay.CAD]("12.34")
//	total, err := price.Add(tip)
//	req := &api.H5PayRequest{Amount: total.Cents(), CurrencyType: total.Currency()}
type Money[C Currency] struct {
	_     [0]C // keeps one currency from being converted to another
	cents field.Cents
}

// ErrMoney says that a text is no amount of the currency, or that a sum does
// not fit. It does not quote.
var ErrMoney = errors.New("ottpay: not an amount of money")

// NewMoney returns an amount in the smallest unit of its currency.
func NewMoney[C Currency](cents field.Cents) (Money[C], error) {
	if cents < 0 || cents > field.MaxCents {
		return Money[C]{}, ErrMoney
	}
	return Money[C]{cents: cents}, nil
}

// ParseMoney reads what people write: "12.34", "12.3", "12", and for a currency
// without cents "12". It takes no sign, blank or thousands separator and no
// decimal too many.
func ParseMoney[C Currency](text string) (Money[C], error) {
	var c C
	var cents field.Cents
	var err error
	if c.decimals() == 0 {
		cents, err = field.ParseCents(text)
	} else {
		cents, err = field.ParseDecimal(text)
	}
	if err != nil {
		return Money[C]{}, fmt.Errorf("%w: %w", ErrMoney, err)
	}
	return NewMoney[C](cents)
}

// Cents returns the amount as requests carry it, in the smallest unit.
func (m Money[C]) Cents() field.Cents { return m.cents }

// Currency returns the currency's three letters.
func (m Money[C]) Currency() string {
	var c C
	return c.Code()
}

// Decimal returns the amount as ParseMoney reads it: "12.34".
func (m Money[C]) Decimal() string {
	var c C
	if c.decimals() == 0 {
		return m.cents.String()
	}
	return m.cents.Decimal()
}

// String returns the amount with its currency: "12.34 CAD".
func (m Money[C]) String() string { return m.Decimal() + " " + m.Currency() }

// IsZero reports whether m is nothing.
func (m Money[C]) IsZero() bool { return m.cents == 0 }

// Add returns the sum, or an error if it is too large to be written.
func (m Money[C]) Add(n Money[C]) (Money[C], error) { return NewMoney[C](m.cents + n.cents) }

// Sub returns the difference, or an error if it is below zero.
func (m Money[C]) Sub(n Money[C]) (Money[C], error) { return NewMoney[C](m.cents - n.cents) }

// Compare returns -1, 0 or 1 as m is less than, equal to or more than n.
func (m Money[C]) Compare(n Money[C]) int {
	switch {
	case m.cents < n.cents:
		return -1
	case m.cents > n.cents:
		return 1
	}
	return 0
}

// InYuan returns what m is worth at the rate of an EX_RATE_QUERY for its
// currency, rounded half up to the next fen. It is for showing to people; what
// the payer is charged is the wallet's business.
func InYuan[C Currency](m Money[C], rate field.Rate) (Money[CNY], error) {
	var c C
	if rate < 0 {
		return Money[CNY]{}, ErrMoney
	}
	unit := big.NewInt(100_000_000) // the rate's
	if c.decimals() == 0 {
		unit.Quo(unit, big.NewInt(100)) // one yen is a whole unit, one fen is not
	}
	n := new(big.Int).Mul(big.NewInt(int64(m.cents)), big.NewInt(int64(rate)))
	n.Add(n, new(big.Int).Rsh(unit, 1))
	n.Quo(n, unit)
	if !n.IsInt64() {
		return Money[CNY]{}, ErrMoney
	}
	return NewMoney[CNY](field.Cents(n.Int64()))
}

// ConvenienceFee returns what H5PAY adds to the amount asked for, 0 in most
// cases. The payer is charged resp.Amount; the notification names that, too,
// and may name the fee. An answer of less than was asked for is an error that
// matches ErrMoney.
func ConvenienceFee(req *api.H5PayRequest, resp *api.H5PayResponse) (field.Cents, error) {
	if resp.Amount < req.Amount {
		return 0, fmt.Errorf("%w: the answer names less than was asked for", ErrMoney)
	}
	return resp.Amount - req.Amount, nil
}

// ParseRate reads a rate as answers carry it in exchange_rate, "5.24740000",
// into the exact type. More than eight decimals are an error.
func ParseRate(text string) (field.Rate, error) {
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > 8 || whole == "" {
		return 0, fmt.Errorf("%w: a rate", ErrMoney)
	}
	n, err := field.ParseCents(strings.TrimLeft(whole, "0") + part + strings.Repeat("0", 8-len(part)))
	if err != nil {
		return 0, fmt.Errorf("%w: a rate", ErrMoney)
	}
	return field.Rate(n), nil
}
