package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownFiles generates a shop's package from an overlay with these actions.
func ownFiles(t *testing.T, actions string) (map[string][]byte, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.overlay.yaml")
	text := "overlay: 1.0.0\ninfo: {title: A shop, version: \"1\"}\nactions:\n" + actions
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := &own{root: filepath.Join("..", ".."), overlay: path, pkg: "shop"}
	base, err := read(o.root)
	if err != nil {
		return nil, err
	}
	changed, err := read(o.root, o.overlay)
	if err != nil {
		return nil, err
	}
	m, err := o.difference(base, changed)
	if err != nil {
		return nil, err
	}
	return m.render(o)
}

// TestOwnTypes generates only what an overlay changes.
func TestOwnTypes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, actions string
		has, lacks    []string
	}{
		{
			"a member of a notification", "  - target: $.components.schemas.Notification.properties\n    update: {floor: {type: [string, \"null\"], maxLength: 4, description: The floor.}}\n",
			[]string{"type Notification struct", "Floor ", `{Name: "floor"`, "func (v Notification) Misfits()"},
			[]string{"CheckoutNotification struct", "ottpay.Call", `"context"`, "func fill("},
		},
		{
			"a shared value", "  - target: $.components.schemas.RequestAmount\n    update: {maxLength: 5}\n",
			[]string{"type H5PayRequest struct", "type RefundRequest struct", "max=99999", "func Refund(ctx", "(*api.RefundResponse, error)"},
			[]string{"type Notification struct", "type RefundResponse struct"},
		},
		{
			"a member that may be sent under an alias", "  - target: $.components.schemas.CardPurchaseRequest.properties.orderId\n    update: {x-go-name: Number}\n",
			[]string{"Number ", "BizTypeName", "Spelling: v.spelling", "func (v *CardPurchaseRequest) spelling(i int) *string"},
			[]string{"type CardPreauthRequest struct"},
		},
		{
			"an order status and a time", "  - target: $.components.schemas.StatusQueryResponse.properties\n    update: {floor: {type: [string, \"null\"], description: The floor.}}\n",
			[]string{"api.OrderStatus", "field.Time", "func (v *StatusQueryResponse) SetOrder(id string)", "func StatusQuery(ctx context.Context, c *ottpay.Client, req *api.StatusQueryRequest) (*StatusQueryResponse, error)"},
			[]string{"func (v StatusQueryRequest)"},
		},
		{
			"a length with a name", "  - target: $.components.schemas.H5PayRequest.properties.shop_id\n    update: {maxLength: 20, x-ottpay-length-rule: branchlength}\n",
			[]string{`register(v, "branchlength"`}, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := ownFiles(t, tt.actions)
			if err != nil {
				t.Fatal(err)
			}
			text := string(files["types.gen.go"]) + string(files["ottpay.gen.go"])
			for _, want := range tt.has {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range tt.lacks {
				if strings.Contains(text, not) {
					t.Errorf("there is %q", not)
				}
			}
			compiles(t, files)
		})
	}
}

// compiles builds a shop's package inside the repository, by an overlay of the
// go command.
func compiles(t *testing.T, files map[string][]byte) {
	t.Helper()
	out, err := filepath.Abs(filepath.Join("..", "..", "gen", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	if err := compileOwn(out, files); err != nil {
		t.Error(err)
	}
}

// TestOwnRefused names what a shop cannot change, and what is wrong with an
// overlay.
func TestOwnRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, actions, want string }{
		{"nothing", "  - target: $.info\n    update: {title: Mine}\n", "changes no schema"},
		{"a code", "  - target: $[\"x-ottpay-codes\"].FAIL\n    update: {class: success}\n", "changes codes, statuses or forbidden names"},
		{"a status", "  - target: $[\"x-ottpay-statuses\"].notpay\n    update: {paid: true}\n", "changes codes, statuses or forbidden names"},
		{"an effect that becomes a query", "  - target: $[\"x-ottpay-actions\"].H5PAY\n    update: {kind: query, effect: none}\n", "changes the action H5PAY"},
		{"a version", "  - target: $[\"x-ottpay-actions\"].H5PAY\n    update: {version: \"2.1\"}\n", "ottpay.Config.Versions"},
		{"a rule of the kit", "  - target: $.components.schemas.RequestOrderID\n    update: {pattern: \"^[0-9A-Za-z_-]{0,48}$\"}\n", "changes the pattern of the rule orderid"},
		{"a target of nothing", "  - target: $.components.schemas.Notificaton.properties\n    update: {a: {type: string, description: a.}}\n", "shop.overlay.yaml"},
		{"an unknown key", "  - target: $.components.schemas.Notification.properties.tip\n    update: {x-ottpay-sensitve: true}\n", "x-ottpay-sensitve"},
		{"a member with the name of a method", "  - target: $.components.schemas.Notification.properties\n    update: {format: {type: [string, \"null\"], description: a.}}\n", "Notification.format"},
		{"card data", "  - target: $.components.schemas.H5PayRequest.properties\n    update: {cc_number: {type: string, maxLength: 19, description: a.}}\n", "cc_number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ownFiles(t, tt.actions); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
