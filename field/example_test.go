package field_test

import (
	"fmt"

	"github.com/ottpaykit/ottpay/field"
)

func ExampleParseDecimal() {
	price, err := field.ParseDecimal("19.99")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(price, price.Decimal())
	// Output: 1999 19.99
}

func ExampleTime_Parse() {
	at, assumed, err := field.Time("20200416050429").Parse()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(at.UTC(), assumed)
	// Output: 2020-04-15 21:04:29 +0000 UTC true
}

func ExampleJSONString_Decode() {
	var info struct{ PackageStr string }
	if err := field.JSONString(`{"packageStr":"prepay_id\u003dwx1"}`).Decode(&info); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.PackageStr)
	// Output: prepay_id=wx1
}
