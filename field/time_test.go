package field_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/field"
)

func TestTimeParse(t *testing.T) {
	t.Parallel()
	want := time.Date(2020, 4, 15, 21, 4, 29, 0, time.UTC)
	for _, tt := range []struct {
		text    field.Time
		assumed bool
	}{
		{"20200416050429", true},
		{"2020-04-16 05:04:29", true},
		{"2020-04-16 05:04:29 CST", false},
	} {
		got, assumed, err := tt.text.Parse()
		if err != nil || !got.Equal(want) || assumed != tt.assumed {
			t.Errorf("%q: got %v, %v, %v", tt.text, got, assumed, err)
		}
	}
	for _, text := range []field.Time{
		"", "2020-04-16", "20200416050429 CST", "2020-04-16 05:04:29 EST", "2020-04-16T05:04:29Z", "2020-13-16 05:04:29",
		"2020-04-16 05:04:29.5", "2020-04-16 5:04:29", "20201316050429", " 20200416050429", "2020-04-16 05:04:29CST",
	} {
		_, _, err := text.Parse()
		var bad *field.TimeError
		if !errors.As(err, &bad) || bad.Raw != string(text) {
			t.Errorf("%q: got %v", text, err)
		} else if text != "" && strings.Contains(err.Error(), string(text)) {
			t.Errorf("the error quotes the text: %v", err)
		}
	}
}

func TestTimeParseIn(t *testing.T) {
	t.Parallel()
	loc := time.FixedZone("somewhere", -5*60*60)
	want := time.Date(2020, 4, 14, 0, 8, 58, 0, loc)
	for _, text := range []field.Time{
		"Apr 14, 2020 12:08:58 AM", "Apr 14, 2020, 12:08:58 AM", "Apr 14, 2020, 12:08:58\u202fAM", "Apr 14, 2020 12:08:58\u202fAM", "2020-04-14 00:08:58",
	} {
		got, err := text.ParseIn(loc)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if got, err := field.Time("2020-04-14 00:08:58").ParseIn(nil); err != nil || got.Location() != time.UTC {
		t.Errorf("nil location: got %v, %v", got, err)
	}
	for _, text := range []field.Time{"", "14 Apr 2020", "2020-04-14 00:08:58.25", "Apr 14, 2020 12:08:58"} {
		if got, err := text.ParseIn(loc); err == nil {
			t.Errorf("%q: read as %v", text, got)
		}
	}
}

func TestJSONStringDecode(t *testing.T) {
	t.Parallel()
	var v struct{ AppID string }
	if err := field.JSONString(`{"appId":"wx1"}`).Decode(&v); err != nil || v.AppID != "wx1" {
		t.Fatalf("got %+v, %v", v, err)
	}
	link := field.JSONString("weixin://wxpay/secret")
	err := link.Decode(&v)
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "'w'") {
		t.Fatalf("got %v", err)
	}
	if link.Valid() || link.Text() != "weixin://wxpay/secret" {
		t.Error("the text of a link is lost")
	}
}
