package ottpay_test

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	price, err := ottpay.ParseMoney[ottpay.CAD]("19.99")
	if err != nil || price.Cents() != 1999 || price.String() != "19.99 CAD" || price.Decimal() != "19.99" || price.Currency() != "CAD" {
		t.Fatalf("got %v, %v", price, err)
	}
	tip, err := ottpay.NewMoney[ottpay.CAD](301)
	if err != nil {
		t.Fatal(err)
	}
	total, err := price.Add(tip)
	if err != nil || total.Cents() != 2300 || total.Compare(price) != 1 || price.Compare(total) != -1 || total.Compare(total) != 0 {
		t.Errorf("got %v, %v", total, err)
	}
	if back, err := total.Sub(price); err != nil || back != tip {
		t.Errorf("got %v, %v", back, err)
	}
	if none, err := price.Sub(total); !errors.Is(err, ottpay.ErrMoney) || !none.IsZero() {
		t.Errorf("below zero: %v, %v", none, err)
	}
	largest, err := ottpay.NewMoney[ottpay.CAD](field.MaxCents)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := largest.Add(largest); !errors.Is(err, ottpay.ErrMoney) {
		t.Errorf("overflow: %v", err)
	}
	yen, err := ottpay.ParseMoney[ottpay.JPY]("1200")
	if err != nil || yen.Cents() != 1200 || yen.String() != "1200 JPY" {
		t.Errorf("got %v, %v", yen, err)
	}
	for _, text := range []string{"", "1,00", "-1", "1.234", "1e3", " 1", "NaN", "10000000000000.00"} {
		if m, err := ottpay.ParseMoney[ottpay.USD](text); !errors.Is(err, ottpay.ErrMoney) {
			t.Errorf("%q: read as %v", text, m)
		}
	}
	if m, err := ottpay.ParseMoney[ottpay.JPY]("12.00"); err == nil {
		t.Errorf("yen with decimals: read as %v", m)
	}
	for _, cents := range []field.Cents{-1, field.MaxCents + 1} {
		if _, err := ottpay.NewMoney[ottpay.CNY](cents); err == nil {
			t.Errorf("%d was taken", int64(cents))
		}
	}
}

// TestMoneyDoesNotMix type-checks what must not compile.
func TestMoneyDoesNotMix(t *testing.T) {
	t.Parallel()
	const before = `package p
import "github.com/ottpaykit/ottpay"
var cad ottpay.Money[ottpay.CAD]
var usd ottpay.Money[ottpay.USD]
var f float64
`
	fset := token.NewFileSet()
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	compiles := func(line string) bool {
		file, err := parser.ParseFile(fset, "p.go", before+line, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.Check("p", fset, []*ast.File{file}, nil)
		return err == nil
	}
	if !compiles("var _, _ = cad.Add(cad)") {
		t.Fatal("adding CAD to CAD does not compile; the others would show nothing")
	}
	for _, line := range []string{
		"var _, _ = cad.Add(usd)", "var _, _ = cad.Sub(usd)", "var _ = cad.Compare(usd)", "var _ ottpay.Money[ottpay.CAD] = usd",
		"var _, _ = cad.Add(f)", "var _, _ = cad.Add(1.5)", "var _, _ = cad.Add(1)", "var _ = cad + cad", "var _ = ottpay.Money[ottpay.CAD](f)",
		"var _, _ = ottpay.NewMoney[ottpay.CAD](f)", "var _, _ = ottpay.NewMoney[ottpay.CAD](1.5)", "var _ ottpay.Money[string]", "var _ = cad == usd",
		"var _ = ottpay.Money[ottpay.CAD](usd)",
	} {
		if compiles(line) {
			t.Errorf("%s compiles", line)
		}
	}
}

func TestInYuan(t *testing.T) {
	t.Parallel()
	cad, _ := ottpay.NewMoney[ottpay.CAD](1000)
	for rate, want := range map[field.Rate]field.Cents{
		650000000: 6500, 524740000: 5247, 524750000: 5248, 524749999: 5247, 1: 0, 0: 0,
	} {
		got, err := ottpay.InYuan(cad, rate)
		if err != nil || got.Cents() != want {
			t.Errorf("%s: got %v, %v, want %s", rate.Decimal(), got, err, want.Decimal())
		}
	}
	yen, _ := ottpay.NewMoney[ottpay.JPY](1000)
	if got, err := ottpay.InYuan(yen, 4_700_000); err != nil || got.Decimal() != "47.00" {
		t.Errorf("1000 yen at 0.047: %v, %v", got, err)
	}
	largest, _ := ottpay.NewMoney[ottpay.CAD](field.MaxCents)
	if _, err := ottpay.InYuan(largest, field.Rate(field.MaxCents)); !errors.Is(err, ottpay.ErrMoney) {
		t.Errorf("overflow: %v", err)
	}
	if _, err := ottpay.InYuan(cad, -1); err == nil {
		t.Error("a negative rate was taken")
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]field.Rate{"5.24740000": 524740000, "6.5": 650000000, "7": 700000000, "0.00000001": 1, "0": 0} {
		if got, err := ottpay.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".5", "5.247400001", "-1", "1e2", "99999999.0", "x"} {
		if got, err := ottpay.ParseRate(text); err == nil {
			t.Errorf("%q: read as %v", text, got)
		}
	}
}

func TestConvenienceFee(t *testing.T) {
	t.Parallel()
	fee, err := ottpay.ConvenienceFee(&api.H5PayRequest{Amount: 5}, &api.H5PayResponse{Amount: 6}) // the vendor's example
	if err != nil || fee != 1 {
		t.Errorf("got %v, %v", fee, err)
	}
	if _, err := ottpay.ConvenienceFee(&api.H5PayRequest{Amount: 5}, &api.H5PayResponse{Amount: 4}); !errors.Is(err, ottpay.ErrMoney) {
		t.Errorf("less than was asked for: %v", err)
	}
}
