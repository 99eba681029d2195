package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://gateway.example/x": true, "https://10.0.0.1": true, "http://localhost:1": true, "http://127.0.0.2": true, "http://[::1]:1": true,
		"HTTPS://gateway.example": true, "http://LOCALHOST": true,
		"http://gateway.example": false, "http://10.0.0.1": false, "http://localhost.example": false, "//gateway.example": false,
		"/path": false, "": false, "ftp://gateway.example": false, "https://user@gateway.example": false, "http://[::ffff:127.0.0.1]": true,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := api.CheckURL(u); (err == nil) != ok {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if api.CheckURL(nil) == nil {
		t.Error("a nil URL was taken")
	}
}

func TestCheckOrderID(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"A": true, "a_b-1": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "ü": false, "a&b": false, "a\n": false,
	} {
		if err := api.CheckOrderID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestCheckAmount(t *testing.T) {
	t.Parallel()
	for cents, ok := range map[int64]bool{1: true, 999_999_999_999: true, 0: false, -1: false, 1_000_000_000_000: false} {
		if err := api.CheckAmount(cents); (err == nil) != ok {
			t.Errorf("%d: %v", cents, err)
		}
	}
}

func TestCheckCallbackURL(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://shop.example/ottpay?x=%20y": true, "http://127.0.0.1:8080/x": true, "https://shop.example": true,
		"": false, "http://shop.example": false, "https://shop.example/ü": false, "https://shop.example/<": false, "https://shop.example/%zz": false,
		"https://shop.example/#top": false, "https://user@shop.example/": false, "javascript:alert(1)": false,
	} {
		if err := api.CheckCallbackURL(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
