package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// snippet is code to copy, generated from the case that is shown. No key is ever
// in it but the vendor's published one: programs read it from the environment.
type snippet struct {
	ID, Name string
	Note     string
	Text     string
}

// tabs are snippets of which one is seen. Name is unique on the page.
type tabs struct {
	Name string
	Tabs []snippet
}

// snippets are the code for an order.
func (p *page) snippets(r *request, o ottpaytest.Order) []snippet {
	s := snippeter{origin: p.origin(r) + p.Base, gateway: p.gatewayURL(r)}
	var out []snippet
	if o.CallbackURL != "" && o.Effect != api.EffectRefund {
		n := ottpaytest.Notification{MerchantID: o.MerchantID, OrderID: o.ID, ChannelID: o.ChannelID, Amount: o.Total(), Tip: o.Tip}
		out = append(out, snippet{
			ID: "s-gotest", Name: "Go test", Note: "The callback of this order, for a test of your handler.",
			Text: goTest(n, nil, http.StatusOK),
		})
	}
	if text, ok := goCall(o, p.requestOf(o)); ok {
		out = append(out, snippet{ID: "s-gocall", Name: "Go call", Note: "The request that made this order, through the kit’s client.", Text: text})
	}
	out = append(out, snippet{ID: "s-curl", Name: "curl", Note: "What the buttons above do, by the API.", Text: s.curlAct(o)})
	if o.CallbackURL != "" {
		out = append(out, snippet{ID: "s-trigger", Name: "ottpay", Note: "One such callback from the command line; the key comes from OTTPAY_SIGN_KEY.", Text: trigger(o, "")})
	}
	return append(out,
		snippet{ID: "s-node", Name: "Node", Note: "Create, pay, wait. Node 18 or later.", Text: s.node(o)},
		snippet{ID: "s-php", Name: "PHP", Note: "Create, pay, wait. PHP 8.", Text: s.php(o)},
		snippet{ID: "s-java", Name: "Java", Note: "Create, pay, wait. Java 11 or later: java Payment.java", Text: s.java(o)},
	)
}

// messageSnippets are the code for a message.
func (p *page) messageSnippets(r *request, m ottpaytest.Message) []snippet {
	if !m.Callback {
		return []snippet{{
			ID: "s-curl", Name: "curl", Note: "These very bytes to the gateway.",
			Text: curlPost(p.origin(r)+p.Base+m.URL, m),
		}}
	}
	out := []snippet{{ID: "s-curl", Name: "curl", Note: "These very bytes to the shop.", Text: curlPost(m.URL, m)}}
	fault := strings.TrimPrefix(m.Fault, string(ottpaytest.ToShop)+":")
	info, known := ottpaytest.LookupFault(m.Fault)
	if m.Plaintext != nil && (m.Fault == "" || known && info.Alone) {
		n, extra, err := notificationOf(m)
		if err == nil {
			want := http.StatusOK
			if m.Fault != "" {
				n.Fault = ottpaytest.CallbackFault(fault)
				if len(info.Expect.Statuses) > 0 {
					want = info.Expect.Statuses[0]
				}
			}
			out = append([]snippet{{ID: "s-gotest", Name: "Go test", Note: "This callback for a test of your handler, and the status that the kit’s webhook gives it.", Text: goTest(n, extra, want)}}, out...)
		}
	}
	if o, ok := p.Gateway.Merchant(m.Merchant).Order(m.Order); ok && (m.Fault == "" || known) {
		out = append(out, snippet{ID: "s-trigger", Name: "ottpay", Note: "The same from the command line; the key comes from OTTPAY_SIGN_KEY.", Text: trigger(o, fault)})
	}
	if text := curlExplain(m); text != "" {
		out = append(out, snippet{ID: "s-explain", Name: "explain", Note: "What the kit makes of these bytes.", Text: text})
	}
	return out
}

// notificationOf makes a Notification of a callback's plaintext: the usual
// members by their fields, the others beside.
func notificationOf(m ottpaytest.Message) (ottpaytest.Notification, []member, error) {
	members, err := objectMembers(m.Plaintext)
	if err != nil {
		return ottpaytest.Notification{}, nil, err
	}
	n := ottpaytest.Notification{MerchantID: m.Merchant}
	var extra []member
	for _, one := range members {
		text := one.text()
		switch one.name {
		case "order_id":
			n.OrderID = text
		case "bizpay_order_id":
			n.ChannelID = text
		case "amount", "tip":
			cents, err := field.ParseCents(text)
			if err != nil || one.kind() != "string" {
				extra = append(extra, one)
			} else if one.name == "tip" {
				n.Tip = cents
			} else {
				n.Amount = cents
			}
		default:
			extra = append(extra, one)
		}
	}
	return n, extra, nil
}

// requestOf returns the decrypted members of the request that made an order.
func (p *page) requestOf(o ottpaytest.Order) []member {
	for _, e := range p.Gateway.Merchant(o.MerchantID).Events(o.ID) {
		if e.Type != ottpaytest.EventRequestReceived || e.Action != o.Action {
			continue
		}
		if m, ok := p.Gateway.Message(e.Message); ok {
			if members, err := objectMembers(m.Plaintext); err == nil {
				return members
			}
		}
	}
	return nil
}

// goTest is a test file for a handler.
func goTest(n ottpaytest.Notification, extra []member, want int) string {
	var b strings.Builder
	b.WriteString(`package shop_test

import (
`)
	if len(extra) > 0 {
		b.WriteString("\t\"encoding/json\"\n")
	}
	b.WriteString(`	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// webhook is what your shop serves callbacks with.
var webhook http.Handler

func TestCallback(t *testing.T) {
	r := ottpaytest.NewNotification(ottpaytest.Notification{
`)
	fmt.Fprintf(&b, "\t\tMerchantID: %s,\n\t\tSignKey:    os.Getenv(\"OTTPAY_SIGN_KEY\"),\n", strconv.Quote(n.MerchantID))
	fmt.Fprintf(&b, "\t\tOrderID:    %s,\n", strconv.Quote(n.OrderID))
	if n.ChannelID != "" {
		fmt.Fprintf(&b, "\t\tChannelID:  %s,\n", strconv.Quote(n.ChannelID))
	}
	fmt.Fprintf(&b, "\t\tAmount:     %d, // cents\n", n.Amount)
	if n.Tip != 0 {
		fmt.Fprintf(&b, "\t\tTip:        %d,\n", n.Tip)
	}
	if n.Fault != "" {
		fmt.Fprintf(&b, "\t\tFault:      %s,\n", strconv.Quote(string(n.Fault)))
	}
	if n.Fault == ottpaytest.CallbackOldKey {
		b.WriteString("\t\tOldKey:     os.Getenv(\"OTTPAY_SIGN_KEY_2\"),\n")
	}
	if len(extra) > 0 {
		b.WriteString("\t\tExtra: map[string]any{\n")
		for _, m := range extra {
			fmt.Fprintf(&b, "\t\t\t%s: json.RawMessage(%s),\n", strconv.Quote(m.name), strconv.Quote(string(m.raw)))
		}
		b.WriteString("\t\t},\n")
	}
	fmt.Fprintf(&b, `	})
	w := httptest.NewRecorder()
	webhook.ServeHTTP(w, r)
	if w.Code != %d {
		t.Errorf("status %%d, want %d", w.Code)
	}
}
`, want, want)
	return b.String()
}

// requests are the types of the client's requests, by the name of their schema.
func requests() map[string]reflect.Type {
	out := make(map[string]reflect.Type)
	for _, v := range []any{
		api.ActivePayRequest{}, api.CardPreauthRequest{}, api.CardPurchaseRequest{}, api.H5PayRequest{},
		api.MiniProgramPayRequest{}, api.PassivePayRequest{}, api.PrepayInitRequest{}, api.RefundRequest{},
	} {
		t := reflect.TypeOf(v)
		out[t.Name()] = t
	}
	return out
}

// goCall is the request that made an order as a call of the client's.
func goCall(o ottpaytest.Order, members []member) (string, bool) {
	info, ok := api.LookupAction(string(o.Action))
	if !ok || len(members) == 0 {
		return "", false
	}
	t, ok := requests()[info.Request]
	if !ok {
		return "", false
	}
	var fields strings.Builder
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		j := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if j < 0 {
			continue
		}
		text := members[j].text()
		switch {
		case f.Type == reflect.TypeFor[field.Cents]():
			cents, err := field.ParseCents(text)
			if err != nil {
				continue
			}
			fmt.Fprintf(&fields, "\t\t%s: %d, // cents\n", f.Name, cents)
		case f.Type.Kind() == reflect.String:
			fmt.Fprintf(&fields, "\t\t%s: %s,\n", f.Name, strconv.Quote(text))
		}
	}
	return fmt.Sprintf(`package shop

import (
	"context"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/gen/api"
)

// pay asks for the payment. The client has its merchant, key and base URL.
func pay(ctx context.Context, client *ottpay.Client) (*api.%s, error) {
	return client.%s(ctx, &api.%s{
%s	})
}
`, info.Response, info.Method, info.Request, fields.String()), true
}

// snippeter writes snippets that talk to this sandbox.
type snippeter struct{ origin, gateway string }

func (s snippeter) order(o ottpaytest.Order) string {
	return s.origin + "/-/api/v1/orders/" + url.PathEscape(o.MerchantID) + "/" + url.PathEscape(o.ID)
}

// curlAct is the API call for what the order's state allows.
func (s snippeter) curlAct(o ottpaytest.Order) string {
	path, body := "/redeliver", "{}"
	switch {
	case o.Open():
		path = "/pay"
	case o.Status == api.StatusAuthfinish:
		path = "/capture"
	case o.CallbackURL == "" || o.Finished.IsZero() || o.Effect == api.EffectRefund:
		return "curl -sS " + sh(s.order(o)) + "\n"
	}
	return "curl -sS -X POST " + sh(s.order(o)+path) + " \\\n  -H 'Content-Type: application/json' -H 'Prefer: wait=5' -d " + sh(body) + "\n"
}

// trigger is the command line for a callback of an order.
func trigger(o ottpaytest.Order, fault string) string {
	text := "ottpay trigger paid --to " + sh(o.CallbackURL) + " \\\n  --order " + sh(o.ID) + " --amount " + o.Total().String()
	if fault != "" {
		text += " --fault " + sh(fault)
	}
	return text + "\n"
}

// curlPost posts a message's own bytes.
func curlPost(to string, m ottpaytest.Message) string {
	method := or(m.Method, http.MethodPost)
	text := "curl -sS -X " + method + " " + sh(to)
	if kind := m.Header.Get("Content-Type"); kind != "" {
		text += " \\\n  -H " + sh("Content-Type: "+kind)
	}
	return text + " \\\n  --data-binary @- <<'" + delimiter(m.Body) + "'\n" + string(m.Body) + "\n" + delimiter(m.Body) + "\n"
}

func curlExplain(m ottpaytest.Message) string {
	if len(m.Body) == 0 {
		return ""
	}
	return "ottpay explain --kind callback <<'" + delimiter(m.Body) + "'\n" + string(m.Body) + "\n" + delimiter(m.Body) + "\n"
}

// delimiter is a line that the text does not have.
func delimiter(text []byte) string {
	word := "EOF"
	for strings.Contains(string(text), word) {
		word += "_"
	}
	return word
}

// asked is the request for an order like this one, for the API.
func asked(o ottpaytest.Order) string {
	callback := o.CallbackURL
	data := map[string]string{
		"amount": o.Amount.String(), "currency_type": or(o.Currency, "CAD"), "biz_type": "WECHATPAY",
		"operator_id": "0000000001", "submit_type": "form", "call_back_url": callback,
	}
	if callback == "" {
		data["call_back_url"] = "http://127.0.0.1:3000/ottpay/callback"
	}
	text, err := json.Marshal(map[string]any{"action": "H5PAY", "data": data})
	if err != nil {
		return "{}" // strings alone cannot fail
	}
	return string(text)
}

func (s snippeter) node(o ottpaytest.Order) string {
	return fmt.Sprintf(`const sandbox = %s;
const merchant = %s;

async function call(path, body) {
  const r = await fetch(sandbox + '/-/api/v1' + path, {
    method: body ? 'POST' : 'GET',
    headers: {'Content-Type': 'application/json', Prefer: 'wait=5'},
    body: body && JSON.stringify(body),
  });
  const answer = await r.json();
  if (!r.ok) throw new Error(r.status + ': ' + JSON.stringify(answer));
  return answer;
}

(async () => {
  const {order} = await call('/orders/' + merchant, %s);
  const id = encodeURIComponent(order.order);
  await call('/orders/' + merchant + '/' + id + '/pay', {});
  const now = await call('/orders/' + merchant + '/' + id);
  console.log(now.order, now.status, now.callbacks);
})();
`, quoted(s.origin), quoted(o.MerchantID), asked(o))
}

func (s snippeter) php(o ottpaytest.Order) string {
	return fmt.Sprintf(`<?php
$sandbox = %s;
$merchant = %s;

function call(string $path, ?string $body = null): array {
    global $sandbox;
    $context = stream_context_create(['http' => [
        'method' => $body === null ? 'GET' : 'POST',
        'header' => "Content-Type: application/json\r\nPrefer: wait=5",
        'content' => $body ?? '',
        'ignore_errors' => true,
    ]]);
    $text = file_get_contents($sandbox . '/-/api/v1' . $path, false, $context);
    $answer = json_decode($text, true, 512, JSON_THROW_ON_ERROR);
    if (!preg_match('/ 2\d\d /', $http_response_header[0] . ' ')) {
        throw new RuntimeException($text);
    }
    return $answer;
}

$made = call("/orders/$merchant", %s);
$id = rawurlencode($made['order']['order']);
call("/orders/$merchant/$id/pay", '{}');
$now = call("/orders/$merchant/$id");
echo $now['order'], ' ', $now['status'], "\n";
`, php(s.origin), php(o.MerchantID), php(asked(o)))
}

func (s snippeter) java(o ottpaytest.Order) string {
	return fmt.Sprintf(`import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Payment {
    static final String SANDBOX = %s;
    static final String MERCHANT = %s;

    static String call(String path, String body) throws Exception {
        HttpRequest.Builder r = HttpRequest.newBuilder(URI.create(SANDBOX + "/-/api/v1" + path))
            .header("Content-Type", "application/json").header("Prefer", "wait=5");
        r = body == null ? r.GET() : r.POST(HttpRequest.BodyPublishers.ofString(body));
        HttpResponse<String> answer = HttpClient.newHttpClient().send(r.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() / 100 != 2) throw new RuntimeException(answer.statusCode() + ": " + answer.body());
        return answer.body();
    }

    // member finds a text by its name. Your shop has a JSON library for that.
    static String member(String json, String name) {
        Matcher m = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(json);
        if (!m.find()) throw new RuntimeException("no " + name + " in " + json);
        return m.group(1);
    }

    public static void main(String[] args) throws Exception {
        String id = member(call("/orders/" + MERCHANT, %s), "order");
        call("/orders/" + MERCHANT + "/" + id + "/pay", "{}");
        String now = call("/orders/" + MERCHANT + "/" + id, null);
        System.out.println(id + " " + member(now, "status"));
    }
}
`, quoted(s.origin), quoted(o.MerchantID), quoted(asked(o)))
}

// sh quotes a text for a POSIX shell.
func sh(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// php quotes a text for PHP.
func php(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// quoted quotes a text for JavaScript and Java, which both take JSON's escapes.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // a string cannot fail
	}
	return string(b)
}

// start are the first steps, for a page without an order.
type start struct {
	Setup   tabs
	Request snippet
	Key     bool
}

func (p *page) start(r *request) *start {
	merchant := p.Gateway.Merchants()[0]
	operator := "0000000001"
	if m, ok := p.Gateway.MerchantInfo(merchant); ok {
		operator = m.OperatorID
	}
	base := p.gatewayURL(r)
	key := "export OTTPAY_SIGN_KEY   # as you set it\n"
	if p.PublishedKey != "" {
		key = "export OTTPAY_SIGN_KEY=" + sh(p.PublishedKey) + "   # the vendor's published example, safe to show\n"
	}
	env := fmt.Sprintf("export OTTPAY_BASE_URL=%s\nexport OTTPAY_MERCHANT_ID=%s\nexport OTTPAY_OPERATOR_ID=%s\n%s",
		sh(base), sh(merchant), sh(operator), key)
	sample := ottpaytest.Order{MerchantID: merchant, Amount: 1999, Currency: "CAD", CallbackURL: p.sampleURL(r)}
	request := "curl -sS -X POST " + sh(p.origin(r)+p.Base+"/-/api/v1/orders/"+url.PathEscape(merchant)) +
		" \\\n  -H 'Content-Type: application/json' -d " + sh(asked(sample)) + "\n"
	return &start{
		Key: p.PublishedKey != "",
		Setup: tabs{"setup", []snippet{
			{ID: "set-sh", Name: "sh", Text: env},
			{ID: "set-go", Name: "Go", Note: "The kit’s client reads what you give it.", Text: goSetup},
			{ID: "set-php", Name: "PHP", Text: fmt.Sprintf("<?php\n$baseUrl = getenv('OTTPAY_BASE_URL') ?: %s;\n$merchantId = %s;\n$operatorId = %s;\n$signKey = getenv('OTTPAY_SIGN_KEY');\n", php(base), php(merchant), php(operator))},
			{ID: "set-node", Name: "Node", Text: fmt.Sprintf("const baseUrl = process.env.OTTPAY_BASE_URL || %s;\nconst merchantId = %s;\nconst operatorId = %s;\nconst signKey = process.env.OTTPAY_SIGN_KEY;\n", quoted(base), quoted(merchant), quoted(operator))},
			{ID: "set-java", Name: "Java", Text: fmt.Sprintf("class OttPay {\n    static final String BASE_URL = System.getenv().getOrDefault(\"OTTPAY_BASE_URL\", %s);\n    static final String MERCHANT_ID = %s;\n    static final String OPERATOR_ID = %s;\n    static final String SIGN_KEY = System.getenv(\"OTTPAY_SIGN_KEY\");\n}\n", quoted(base), quoted(merchant), quoted(operator))},
		}},
		Request: snippet{ID: "first", Name: "request for an order", Text: request},
	}
}

const goSetup = `package shop

import (
	"os"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

func newClient() (*ottpay.Client, error) {
	key, err := envelope.NewKey(os.Getenv("OTTPAY_SIGN_KEY"))
	if err != nil {
		return nil, err
	}
	merchant := os.Getenv("OTTPAY_MERCHANT_ID")
	return ottpay.New(ottpay.Config{
		MerchantID: merchant,
		OperatorID: os.Getenv("OTTPAY_OPERATOR_ID"),
		Keys:       middleware.StaticKeys{merchant: {key}},
		BaseURL:    os.Getenv("OTTPAY_BASE_URL"),
	})
}
`
