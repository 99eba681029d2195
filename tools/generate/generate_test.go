package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/small/want")

// generate renders the module at root without writing.
func generate(t *testing.T, root string) (map[string][]byte, error) {
	t.Helper()
	doc, err := load(root)
	if err != nil {
		return nil, err
	}
	m, err := newModel(doc, root)
	if err != nil {
		return nil, err
	}
	return render(m, root)
}

// TestUpToDate fails when the document, a template or a generated file was
// changed without running go generate.
func TestUpToDate(t *testing.T) {
	root := filepath.Join("..", "..")
	files, err := generate(t, root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes: run go generate ./...", path)
		}
	}
	err = filepath.WalkDir(filepath.Join(root, "gen"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if _, ok := files[rel]; !ok && isGenerated(rel) {
			t.Errorf("%s is not generated any more", rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDeterministic(t *testing.T) {
	first, err := generate(t, filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	again, err := generate(t, filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(first, again, bytes.Equal) {
		t.Fatal("two runs differ")
	}
}

func TestGolden(t *testing.T) {
	root := small(t)
	files, err := generate(t, root)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join("testdata", "small", "want")
	if *update {
		if err := os.RemoveAll(want); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		// The suffix keeps the go command from reading golden files as Go.
		golden := filepath.Join(want, strings.ReplaceAll(path, "/", "_")+".golden")
		if *update {
			if err := os.MkdirAll(want, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, files[path], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(golden)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(data, files[path]) {
			t.Errorf("%s differs from %s; look at the difference and run go test -update", path, golden)
		}
	}
}

// small copies the document with one action into a directory of its own.
func small(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "openapi"), os.DirFS(filepath.Join("testdata", "small", "openapi"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "client.go"), []byte("package ottpay\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestIncomplete leaves one thing out of the document at a time.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	const response = `      example: {orderId: A1, fee: 0}`
	tests := []struct{ name, old, new, want string }{
		{"no kind", "    kind: effect\n", "", "action PING_ORDER: kind must say query or effect"},
		{"kind misspelt", "    kind: effect\n", "    kind: effects\n", "action PING_ORDER: kind must say query or effect"},
		{"kind against effect", "    kind: effect\n", "    kind: query\n", "kind query does not go with effect create-order"},
		{"no version", `    version: "1.0"` + "\n", "", "action PING_ORDER: no version"},
		{"no page", "    pages: [https://vendor.example/ping]\n", "", "action PING_ORDER: no pages"},
		{"page of no server", "    pages: [https://vendor.example/ping]\n", "    pages: [ping]\n", "action PING_ORDER: pages: \"ping\" is not"},
		{"no summary", "    summary: pings an order\n", "", "action PING_ORDER: no summary"},
		{"no request", "    request: PingOrderRequest\n", "", "action PING_ORDER: no request schema"},
		{"no response", "    response: PingOrderResponse\n", "", "action PING_ORDER: no response schema"},
		{"request of nowhere", "    request: PingOrderRequest\n", "    request: Ping\n", "there is no schema Ping"},
		{"no order", "    order: order_id\n", "", "action PING_ORDER: no order"},
		{"order without role", ", x-ottpay-role: order-id, description: The order.}\n        amount", ", description: The order.}\n        amount", "needs the role order-id"},
		{"order is none", "    order: order_id\n", "    order: none\n", "order is none, yet order_id"},
		{"no effect", "    effect: create-order\n", "", "effect must be one of"},
		{"schema without page", "    PingOrderRequest:\n", "    Ping: {description: pings., type: object, properties: {a: {type: string, description: a.}}, example: {a: b}}\n    PingOrderRequest:\n", "schema Ping: x-ottpay-pages"},
		{"decision about nothing", "    pages: [https", "    x-ottpay-decision: [{about: mood, says: \"\", does: a, why: b}]\n    pages: [https", "about \"mood\" is not a kind"},
		{"decision that does not say what the page says", "    pages: [https", "    x-ottpay-decision: [{about: version-changed, does: a, why: b}]\n    pages: [https", "says is missing"},
		{"decision without a reason", "    pages: [https", "    x-ottpay-decision: [{about: version-changed, says: \"2.0\", does: a}]\n    pages: [https", "does and why are missing"},
		{"schema without example", response, "", "schema PingOrderResponse: no example"},
		{"schema without description", "      description: is the request of PING_ORDER.\n", "", "schema PingOrderRequest: no description"},
		{"example not valid", response, `      example: {fee: 0}`, `schema "PingOrderResponse": invalid example`},
		{"example of a wrong length", "example: {order_id: A1", "example: {order_id: a1", `schema "PingOrderRequest": invalid example`},
		{"member without description", ", description: Free text.}", "}", "PingOrderRequest.note: no description"},
		{"unnamed pattern", ", x-ottpay-rule: orderid", "", "a pattern needs a rule's name"},
		{"bad pattern", "^[0-9A-Z]{1,20}$", "^[0-9", "PingOrderRequest"},
		{"required string may be empty", `{type: string, minLength: 1, x-ottpay-role`, `{type: string, x-ottpay-role`, "must refuse the empty one"},
		{"optional string may not be empty", "{type: string, maxLength: 10,", "{type: string, minLength: 1, maxLength: 10,", "must admit the empty one"},
		{"unknown role", "x-ottpay-role: amount", "x-ottpay-role: money", `"money" is none of`},
		{"unknown kind", "maxLength: 12, x-ottpay-kind: amount", "maxLength: 12, x-ottpay-kind: money", `"money" is none of`},
		{"echo of nothing", "x-ottpay-echo: order_id", "x-ottpay-echo: ordre_id", "echoes ordre_id"},
		{"case twins", "x-ottpay-aliases: [order_id]", "x-ottpay-aliases: [FEE]", "is a name of orderId already, or differs in case only"},
		{"one Go name for two", "        note: {", "        orderId: {", "has the Go name OrderID"},
		{"number in a request", "note: {type: string,", "note: {type: [string, number],", "a request holds strings only"},
		{"null in a request", "note: {type: string,", `note: {type: [string, "null"],`, "a request holds strings only"},
		{"request that takes card data", "      propertyNames: {$ref: \"#/components/schemas/RequestName\"}\n", "", "against card data"},
		{"reference to nothing", "schemas/OptionalAmount\"}", "schemas/Amount\"}", "refers to nothing"},
		{"code without class", "{class: success, message", "{message", "code SUCCESS: class"},
		{"status without paid", "paid: was, final", "final", "status returned: paid"},
		{"status held and paid", "paid: was, final", "held: true, paid: was, final", "what is held is not paid"},
		{"status in capitals", "returned: {meaning", "RETURNED: {meaning", "lower case"},
		{"status like nothing", "paid: was, final", "same: nothing, paid: was, final", "same must name"},
		{"no codes", "x-ottpay-codes:\n  SUCCESS: {class: success, message: success}\n", "", "x-ottpay-codes: none"},
		{"no statuses", "x-ottpay-statuses:\n  success: {meaning: paid, paid: true, final: false}\n  returned: {meaning: paid back, paid: was, final: true}\n", "", "x-ottpay-statuses: none"},
		{"usual lengths too far apart", "{type: string, maxLength: 10,", "{type: string, x-ottpay-usual-length: [1, 17], maxLength: 20,", "less than 16 apart"},
		{"amount of another shape", `pattern: "^[1-9][0-9]*$"`, `pattern: "^[0-9.]*$"`, "an amount of this kind"},
		{"overlay on nothing", "", "", "overlay"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := small(t)
			path := filepath.Join(root, "openapi", "ottpay.yaml")
			if tt.old == "" {
				path = filepath.Join(root, "openapi", "go.overlay.yaml")
				tt.old, tt.new = "PING_ORDER", "PONG_ORDER"
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), tt.old, tt.new, 1)
			if changed == string(text) {
				t.Fatal("the document does not hold what is to be replaced")
			}
			if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
			err = run(root, false)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if exists(filepath.Join(root, "gen")) {
				t.Error("something was written nevertheless")
			}
		})
	}
}

// TestJSONSchemaAgrees judges the committed fixtures anew.
func TestJSONSchemaAgrees(t *testing.T) {
	doc, err := load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(doc, filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Schemas {
		data, err := os.ReadFile(filepath.Join("..", "..", "gen", "api", "testdata", s.GoName+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var all []fixture
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		if len(all) < 4 {
			t.Errorf("%s: %d fixtures", s.Name, len(all))
		}
		schema, err := newJudge(s.value)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if err := schema.verdict(f.JSON); (err == nil) != f.Valid {
				t.Errorf("%s: %s: %v, want valid=%v", s.Name, f.Name, err, f.Valid)
			}
		}
	}
}

func TestStaleFilesGo(t *testing.T) {
	t.Parallel()
	root := small(t)
	stale := filepath.Join(root, "gen", "api", "old.gen.go")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	byHand := filepath.Join(root, "gen", "api", "status.go")
	for _, path := range []string{stale, byHand} {
		if err := os.WriteFile(path, []byte("package api\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if !exists(byHand) {
		t.Error("a file that was written by hand is gone")
	}
	if exists(stale) {
		t.Error("a file that is no longer made is still there")
	}
}

func TestGoName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"call_back_url": "CallBackURL", "order_id": "OrderID", "orderId": "OrderID", "cc_channelType": "CCChannelType", "txnTime": "TxnTime",
		"sub_openId": "SubOpenID", "payInfo": "PayInfo", "H5PayRequest": "H5PayRequest", "frontUrl": "FrontURL", "order-id": "OrderID", "ORDERCLOSE": "ORDERCLOSE",
	} {
		if got := goName(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestAdditions adds an action, an optional member, a code and a status to the
// document of a copy of the repository, and nothing else, and generates. The
// tests of the packages that stand on the document pass. With -whole, every
// test of the root module does.
func TestAdditions(t *testing.T) {
	if testing.Short() || raced && !*whole {
		t.Skip("builds a copy of the module, in a process that the race detector does not see")
	}
	scratch := copyRepository(t)
	path := filepath.Join(scratch, "openapi", "ottpay.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, add := range []struct{ before, text string }{
		{"  ACTIVEPAY:\n", inventedAction},
		{"    ActivePayRequest:\n", inventedSchemas},
		{"        remarks: {$ref: \"#/components/schemas/OptionalText\", x-ottpay-sensitive: true, description: \"Free text.\"}\n      example: &paid", inventedMember},
		{"  FAIL: {class", "  CHANNEL_DOWN: {class: unclear, message: the channel is down}\n"},
		{"  notpay: {meaning", "  suspended: {meaning: under review, paid: false, final: false}\n"},
	} {
		if strings.Count(changed, add.before) != 1 {
			t.Fatalf("the document does not hold %q once", add.before)
		}
		changed = strings.Replace(changed, add.before, add.text+add.before, 1)
	}
	put(t, path, changed)
	if err := run(scratch, false); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(filepath.Join(scratch, "docs", "actions.md"))
	if err != nil || !strings.Contains(string(docs), "## GIFT_CARD_LOAD") || !strings.Contains(string(docs), "loyalty_points") || !strings.Contains(string(docs), "CHANNEL_DOWN") {
		t.Errorf("docs/actions.md does not have them: %v", err)
	}
	put(t, filepath.Join(scratch, "invented_test.go"), inventedTest)
	args := []string{"test", "-run", "Invented|Fixtures|Codes|OrderStatus|Actions|Filled|Aliases|Sensitive|Requests|UsualLengths", ".", "./validate", "./gen/api"}
	if *whole {
		args = []string{"test", "./..."}
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = scratch
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestMemberThatCodeUses takes a member and an action out of the document that
// hand-written code uses. The generator says where, and writes nothing.
func TestMemberThatCodeUses(t *testing.T) {
	if testing.Short() || raced && !*whole {
		t.Skip("builds a copy of the module, in a process that the race detector does not see")
	}
	scratch := copyRepository(t)
	path := filepath.Join(scratch, "openapi", "ottpay.yaml")
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	generated := filepath.Join(scratch, "gen", "api", "types.gen.go")
	before, err := os.ReadFile(generated)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(original), "\n")
	refund := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "        refund_fee: ") })
	put(t, path, strings.Replace(strings.Join(slices.Delete(lines, refund, refund+1), ""), "total_amount: 1, refund_fee: 0,", "total_amount: 1,", 1))
	err = run(scratch, false)
	if err == nil || !strings.Contains(err.Error(), "the member StatusQueryResponse.refund_fee") || !strings.Contains(err.Error(), ".go:") || !strings.Contains(err.Error(), "-force") {
		t.Errorf("error %v", err)
	}
	if after, err := os.ReadFile(generated); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was written nevertheless: %v", err)
	}
	if err := run(scratch, true); err != nil {
		t.Errorf("with force: %v", err)
	}
	if after, err := os.ReadFile(generated); err != nil || bytes.Equal(before, after) {
		t.Errorf("with force it was not written: %v", err)
	}
}

// copyRepository copies all that the tests of the root module read.
func copyRepository(t *testing.T) string {
	t.Helper()
	root, scratch := filepath.Join("..", ".."), t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(scratch, rel), 0o755)
		}
		if !d.Type().IsRegular() || d.Name() == ".git" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(scratch, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return scratch
}

const inventedMember = `        loyalty_points: {$ref: "#/components/schemas/OptionalText", description: "The points that the payer earned."}
`

const inventedAction = `  GIFT_CARD_LOAD:
    summary: loads a gift card
    version: "3.0"
    kind: effect
    pages: [https://docs.ottpay.com/payment-api/gift-card]
    request: GiftCardLoadRequest
    response: GiftCardLoadResponse
    order: loadId
    effect: pay-now
`

const inventedSchemas = `    GiftCardLoadRequest:
      description: is the request of GIFT_CARD_LOAD.
      type: object
      required: [loadId, operator_id, amount, biz_type]
      properties:
        loadId: {type: string, minLength: 1, maxLength: 32, x-ottpay-role: order-id, description: The load.}
        operator_id: {$ref: "#/components/schemas/RequestOperator"}
        amount: {$ref: "#/components/schemas/RequestAmount", x-ottpay-role: amount}
        biz_type: {type: string, enum: [GIFTCARD], description: The constant GIFTCARD.}
        call_back_url: {type: string, maxLength: 200, description: Where the notification goes., x-ottpay-role: callback-url, x-ottpay-sensitive: true}
      propertyNames: {$ref: "#/components/schemas/RequestName"}
      example: {loadId: L1, operator_id: "0000020156", amount: "500", biz_type: GIFTCARD}
    GiftCardLoadResponse:
      description: is the answer to GIFT_CARD_LOAD.
      type: object
      required: [loadId, balance, order_status]
      properties:
        loadId: {$ref: "#/components/schemas/AnswerID", x-ottpay-role: order-id, x-ottpay-echo: loadId}
        balance: {$ref: "#/components/schemas/PaidAmount", x-ottpay-role: amount, x-ottpay-echo: amount}
        order_status: {$ref: "#/components/schemas/OrderStatus"}
        greeting: {$ref: "#/components/schemas/OptionalText", description: A word to the payer.}
      example: {loadId: L1, balance: "500", order_status: success, greeting: hello}
`

const inventedTest = `package ottpay_test

import (
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// The client's method and the gateway's answer.
func TestInventedCall(t *testing.T) {
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: "TS00000001", SignKey: "0123456789ABCDEF"})
	defer gateway.Close()
	key, err := envelope.NewKey("0123456789ABCDEF")
	if err != nil {
		t.Fatal(err)
	}
	client, err := ottpay.New(ottpay.Config{MerchantID: "TS00000001", OperatorID: "0000000001", Keys: middleware.StaticKeys{"TS00000001": {key}}, BaseURL: gateway.URL})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.GiftCardLoad(t.Context(), &api.GiftCardLoadRequest{LoadID: "L9", Amount: 500})
	if err != nil {
		t.Fatal(err)
	}
	if n := (api.Notification{LoyaltyPoints: "5"}); n.String() != "Notification[loyalty_points=5]" {
		t.Errorf("got %v", n)
	}
	if resp.LoadID != "L9" || resp.Balance != 500 || !resp.OrderStatus.Paid() {
		t.Errorf("got %v", resp)
	}
}

func TestInvented(t *testing.T) {
	info, ok := api.LookupAction("GIFT_CARD_LOAD")
	if !ok || info.Version != "3.0" || info.OrderMember != "loadId" || info.Kind != api.KindEffect || info.Effect != api.EffectPayNow {
		t.Fatalf("got %+v", info)
	}
	schema, ok := api.LookupSchema(info.Response)
	if !ok {
		t.Fatal("no schema")
	}
	if m, ok := schema.WithRole(api.RoleOrderID); !ok || m.Echo != "loadId" {
		t.Errorf("got %+v", m)
	}
	req := (&api.GiftCardLoadRequest{Amount: 500}).Filled(api.Defaults{OperatorID: "1", OrderID: "L9"})
	out, err := req.MarshalJSON()
	if err != nil || string(out) != ` + "`" + `{"loadId":"L9","operator_id":"1","amount":"500","biz_type":"GIFTCARD"}` + "`" + ` {
		t.Errorf("got %s, %v", out, err)
	}
}
`
