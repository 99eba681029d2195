package links_test

import (
	"fmt"
	"net/url"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/links"
)

// A button for Alipay in the browser of a PC.
func ExampleWebPay() {
	page := links.WebPay{
		Order:      links.Order{MerCode: "0000000000000001", OrderID: "A1001", OperatorID: "0000000001", Amount: 1999},
		MerchantID: "TS00000001",
		ReturnURL:  "https://shop.example/thanks",
		NotifyURL:  "https://shop.example/ottpay/callback",
		SubmitType: "scan",
	}
	link, err := page.URL()
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := url.Parse(link)
	fmt.Println(u.Host, u.Path, u.Query().Get("amount"), err)
	fmt.Println(page) // logs do not show the MerCode
	// Output:
	// mppay.ottpay.com /webPay 1999 <nil>
	// payment page of order "A1001"
}

// The link that H5PAY answered with, and where the browser comes back to.
func ExampleH5() {
	link, err := links.H5(&api.H5PayResponse{PayInfo: "https://pay.example/h5?id=1"}, "https://shop.example/thanks?order=A1001")
	fmt.Println(link, err)
	// Output: https://pay.example/h5?id=1&redirect_url=https%3A%2F%2Fshop.example%2Fthanks%3Forder%3DA1001 <nil>
}

// What a browser brings back is for display.
func ExampleParseReturn() {
	u, _ := url.Parse("https://shop.example/thanks?total_fee=1999&trade_no=T1&out_trade_no=A1001&trade_status=%20Trade_Finished")
	claimed, err := links.ParseReturn(u)
	fmt.Println(claimed.ClaimedOrderID, claimed.ClaimedAmount, claimed.ClaimedStatus, err)
	// Output: A1001 19.99 Trade_Finished <nil>
}
