package api_test

import (
	"encoding/json"
	"fmt"

	"github.com/ottpaykit/ottpay/gen/api"
)

func Example() {
	var n api.Notification
	if err := json.Unmarshal([]byte(`{"order_id":"A1","bizpay_order_id":"WX1","amount":1999,"finish_time":"20200416050429","remarks":"for Ann"}`), &n); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n.Amount.Decimal(), n)
	// Output: 19.99 Notification[order_id=A1 bizpay_order_id=WX1 amount=1999 finish_time=20200416050429 remarks=[redacted]]
}
