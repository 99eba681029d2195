package api_test

import (
	"fmt"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

func TestActions(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"ACTIVEPAY": "1.0 effect order_id", "PASSIVEPAY": "1.0 effect order_id", "MAPPPAY": "1.1 effect order_id", "H5PAY": "2.0 effect order_id",
		"STATUS_QUERY": "1.0 query order_id", "REFUND": "1.0 effect order_id", "EX_RATE_QUERY": "1.0 query ", "PREPAY_INIT": "2.0 effect prepay_order_id",
		"PREPAY_QUERY": "2.0 query prepay_order_id", "CC_PURCHASE": "2.0 effect orderId", "CC_PREAUTH": "2.0 effect orderId", "CC_QUERYPAY": "2.0 query order_id",
	}
	for _, info := range api.Actions() {
		got := fmt.Sprintf("%s %s %s", info.Version, info.Kind, info.OrderMember)
		if want, known := want[string(info.Name)]; known && got != want {
			t.Errorf("%s: %s, want %s", info.Name, got, want)
		}
		delete(want, string(info.Name)) // others were added to the document
		if found, ok := api.LookupAction(string(info.Name)); !ok || found.Method != info.Method || info.Method == "" || info.Summary == "" || len(info.Pages) == 0 {
			t.Errorf("%s: incomplete: %+v", info.Name, info)
		}
		for _, name := range []string{info.Request, info.Response} {
			if _, ok := api.LookupSchema(name); !ok {
				t.Errorf("%s: no schema %s", info.Name, name)
			}
		}
	}
	for name := range want {
		t.Errorf("no action %s", name)
	}
	for _, name := range []string{"", "mapppay", "CC_REFUND"} {
		if _, ok := api.LookupAction(name); ok {
			t.Errorf("%q is an action", name)
		}
	}
}
