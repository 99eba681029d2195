package ottpay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/links"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// Paying in a WeChat mini-program: the argument of wx.requestPayment.
func Example_miniProgram() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()

	resp, err := client.MiniProgramPay(ctx, &api.MiniProgramPayRequest{
		OrderID: "A1001", Amount: 1999,
		AppID: "wx0000000000000001", OpenID: "o0000000000000000000000000001",
		CallBackURL: "https://shop.example/ottpay/callback",
	})
	if err != nil {
		log.Fatal(err) // see "When something fails"
	}
	params, err := ottpay.RequestPayment(resp)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(params)) // to the mini-program
	// Output:
	// {"appId":"wx0000000000000001","timeStamp":"2026070108","nonceStr":"fGzn4apm4g33UnYU","package":"prepay_id=wx781266859681755","signType":"MD5","paySign":"0961D43010DF42EA6021D76915F36F7A"}
}

// Paying by WeChat from a mobile browser.
func Example_h5() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{ConvenienceFee: 10})
	defer gateway.Close()
	defer client.CloseIdleConnections()

	req := &api.H5PayRequest{
		OrderID: "A1001", Amount: 1999, CurrencyType: "CAD",
		CallBackURL: "https://shop.example/ottpay/callback",
	}
	resp, err := client.H5Pay(ctx, req)
	if err != nil {
		log.Fatal(err)
	}
	fee, err := ottpay.ConvenienceFee(req, resp)
	if err != nil {
		log.Fatal(err)
	}
	link, err := links.H5(resp, "https://shop.example/thanks?order=A1001")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println("the payer pays", resp.Amount.Decimal(), "of which the fee is", fee.Decimal())
	fmt.Println(strings.TrimPrefix(link, gateway.URL))
	// Output:
	// the payer pays 20.09 of which the fee is 0.10
	// /pay/TS00000001/A1001?redirect_url=https%3A%2F%2Fshop.example%2Fthanks%3Forder%3DA1001
}

// Paying by a QR code on the shop's screen, and waiting for it.
func Example_qr() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()

	resp, err := client.ActivePay(ctx, &api.ActivePayRequest{
		OrderID: "A1001", Amount: 1999, BizType: "ALIPAY",
		CallBackURL: "https://shop.example/ottpay/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("show as a QR code:", strings.TrimPrefix(resp.CodeURL, gateway.URL))
	if err := gateway.Merchant(merchantID).Pay("A1001", ottpaytest.Payment{Silent: true}); err != nil { // the payer scans
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	payment, err := client.AwaitPayment(ctx, "A1001", ottpay.AwaitConfig{})
	switch {
	case err != nil:
		log.Fatal(err) // ctx ended: it may still be paid
	case payment.Matches(1999):
		fmt.Println("paid")
	default:
		fmt.Println("not paid:", payment.Status)
	}
	// Output:
	// show as a QR code: /pay/TS00000001/A1001
	// paid
}

// Charging the code that the payer shows at the till.
func Example_inStore() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{
		Scan: func(ottpaytest.Order, string) api.Code { return api.CodeProcessing }, // the payer types a password
	})
	defer gateway.Close()
	defer client.CloseIdleConnections()
	authCode := "134567890123456789" // from the scanner

	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	till := client.ForTerminal("T0001")
	resp, err := till.PassivePay(ctx, &api.PassivePayRequest{
		OrderID: "A1001", Amount: 1999,
		AuthCode: authCode, BizType: ottpay.Wallet(authCode),
	})
	switch {
	case errors.Is(err, ottpay.ErrCaller):
		fmt.Println("scan again, under a new order id")
		return
	case err != nil: // failed and unknown alike: ask before the payer is charged again
		resolution, err := till.Resolve(ctx, err)
		fmt.Println(resolution.Verdict, err)
		return
	}
	fmt.Println(resp.OrderStatus, "pending:", resp.Pending())

	if err := gateway.Pay("A1001"); err != nil { // the password was right
		log.Fatal(err)
	}
	payment, err := till.AwaitPayment(ctx, resp.OrderID, ottpay.AwaitConfig{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("paid:", payment.Matches(1999))
	// Output:
	// processing pending: true
	// paid: true
}

// Paying on the hosted checkout page.
func Example_checkout() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()

	webhook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   keys(),
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Asker:  client, // puts PREPAY_QUERY
		Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	callback := middleware.Handle(webhook, func(ctx context.Context, n *api.CheckoutNotification) error {
		d, _ := middleware.FromContext(ctx)
		if !d.Matches(1999) { // what the shop knows of n.PrepayOrderID, in cents
			return errors.New("not the amount of the checkout")
		}
		fmt.Println("paid:", n.PrepayOrderID)
		return nil
	})
	shop := httptest.NewServer(callback)
	defer shop.Close()

	resp, err := client.PrepayInit(ctx, &api.PrepayInitRequest{
		PrepayOrderID: "C1001", SaleNum: "S1001", ShopID: "TS00000001001",
		Amount: 1999, CurrencyType: "CAD", Duration: "900",
		RedirectURL: "https://shop.example/thanks", CallBackURL: shop.URL,
	})
	if err != nil {
		log.Fatal(err)
	}
	link, err := links.Checkout(resp, links.CheckoutAlipay)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimPrefix(link, gateway.URL))
	if err := errors.Join(gateway.Merchant(merchantID).Pay("C1001", ottpaytest.Payment{Method: "ALIPAY"}), gateway.Wait(ctx)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// /pay/TS00000001/C1001?selected=ALIPAY
	// paid: C1001
}

// The browser comes back, and proves nothing.
func Example_return() {
	requested, err := url.Parse("https://shop.example/thanks?total_fee=1999&trade_no=AL1&out_trade_no=C1001&trade_status=+Trade_Finished")
	if err != nil {
		log.Fatal(err)
	}

	claimed, err := links.ParseReturn(requested)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("we are waiting for the payment of %s (%s)\n", claimed.ClaimedAmount, claimed.ClaimedStatus)
	// Output:
	// we are waiting for the payment of 19.99 (Trade_Finished)
}

// Paying by UnionPay online; a hosted card page differs in two constants.
func Example_cards() {
	ctx := context.Background()
	gateway, client := sandbox(ottpaytest.Config{})
	defer gateway.Close()
	defer client.CloseIdleConnections()

	resp, err := client.CardPurchase(ctx, &api.CardPurchaseRequest{
		OrderID: "A1001", TxnAmt: 1999, TxnTime: "20260701080000", // the zone is not documented
		ChannelType: "UPAYONLINE", BizType: "securePay", CCChannelType: "web", // or ELAVONECOM, converge_hosted, web
		FrontURL: "https://shop.example/thanks",
		BackURL:  "https://shop.example/ottpay/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pending:", resp.Pending())
	if resp.CodeURL != "" {
		fmt.Println("send the browser to", strings.TrimPrefix(resp.CodeURL, gateway.URL))
	}
	if err := gateway.Merchant(merchantID).Pay("A1001", ottpaytest.Payment{Silent: true}); err != nil { // the payer pays
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	payment, err := client.AwaitPayment(ctx, "A1001", ottpay.AwaitConfig{Query: api.ActionCC_QUERYPAY})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("paid:", payment.Matches(1999))
	// Output:
	// pending: true
	// send the browser to /pay/TS00000001/A1001
	// paid: true
}

// Alipay in the browser of a PC, without the envelope.
func Example_link() {
	page := links.WebPay{
		Order:      links.Order{MerCode: "0000000000000001", OrderID: "A1001", OperatorID: "0000000001", Amount: 1999},
		MerchantID: merchantID,
		ReturnURL:  "https://shop.example/thanks",
		NotifyURL:  "https://shop.example/ottpay/callback",
		SubmitType: "scan",
	}
	link, err := page.URL()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(link, "https://mppay.ottpay.com/webPay?"), page.MerCode) // the link alone holds the code
	// Output:
	// true links.MerCode(redacted)
}
