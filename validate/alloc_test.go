//go:build !race

package validate_test

import (
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/validate"
)

// TestNotificationAllocations keeps the way from bytes to a validated
// notification short: the text, the tip, the value.
func TestNotificationAllocations(t *testing.T) {
	v := validate.New()
	data := []byte(`{"amount":"1","bizpay_order_id":"AL781266859681754","tip":"0","merchant_id":"QC00005496","order_id":"2020041553699O153O0407","finish_time":"20200416050429"}`)
	got := testing.AllocsPerRun(100, func() {
		n := new(api.Notification)
		if err := n.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		if err := v.Struct(n); err != nil {
			t.Fatal(err)
		}
	})
	if got > 3 {
		t.Errorf("%v allocations, want 3", got)
	}
}
