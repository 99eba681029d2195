package field_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/field"
)

func TestTimeParse(t *testing.T) {
	t.Parallel()
	china := time.Date(2020, 4, 15, 21, 4, 29, 0, time.UTC)
	at := func(hours float64) time.Time { // 05:04:29 on the clock of a zone that is behind UTC by so many hours
		return time.Date(2020, 4, 16, 5, 4, 29, 0, time.UTC).Add(time.Duration(hours * float64(time.Hour)))
	}
	for _, tt := range []struct {
		text    field.Time
		want    time.Time
		assumed bool
		zone    string
	}{
		{"20200416050429", china, true, ""},
		{"20200416050429.0", china, true, ""},
		{"2.0200416050429E13", china, true, ""},
		{"2020-04-16 05:04:29", china, true, ""},
		{"Apr 16, 2020 5:04:29 AM", china, true, ""},
		{"2020-04-16 05:04:29 CST", at(6), false, "CST"},
		{"2020-04-16 05:04:29 cst", at(6), false, "cst"},
		{"20200416050429 CST", at(6), false, "CST"},
		{"2020-04-16 05:04:29 CDT", at(5), false, "CDT"},
		{"2020-04-16 05:04:29 EST", at(5), false, "EST"},
		{"2020-04-16 05:04:29 EDT", at(4), false, "EDT"},
		{"2020-04-16 05:04:29 MST", at(7), false, "MST"},
		{"2020-04-16 05:04:29 MDT", at(6), false, "MDT"},
		{"2020-04-16 05:04:29 PST", at(8), false, "PST"},
		{"2020-04-16 05:04:29 PDT", at(7), false, "PDT"},
		{"2020-04-16 05:04:29 AST", at(4), false, "AST"},
		{"2020-04-16 05:04:29 ADT", at(3), false, "ADT"},
		{"2020-04-16 05:04:29 NST", at(3.5), false, "NST"},
		{"2020-04-16 05:04:29 NDT", at(2.5), false, "NDT"},
		{"2020-04-16 05:04:29 AKST", at(9), false, "AKST"},
		{"2020-04-16 05:04:29 AKDT", at(8), false, "AKDT"},
		{"2020-04-16 05:04:29 HST", at(10), false, "HST"},
		{"2020-04-16 05:04:29 HDT", at(9), false, "HDT"},
		{"2020-04-16 05:04:29 UTC", at(0), false, "UTC"},
		{"2020-04-16 05:04:29 GMT", at(0), false, "GMT"},
		{"2020-04-16 05:04:29 Z", at(0), false, "Z"},
		{"Apr 16, 2020 5:04:29 AM EDT", at(4), false, "EDT"},
		// An unknown zone is flagged and stops nothing.
		{"2020-04-16 05:04:29 HKT", china, true, "HKT"},
		{"20200416050429 +08:00", china, true, "+08:00"},
		{"20200416050429 AZaz09+-:/_", china, true, "AZaz09+-:/_"},
		{"2020-04-16 05:04:29 Asia/Shanghai", china, true, "Asia/Shanghai"},
	} {
		got, assumed, err := tt.text.Parse()
		if err != nil || !got.Equal(tt.want) || assumed != tt.assumed {
			t.Errorf("%q: got %v, %v, %v; want %v, %v", tt.text, got, assumed, err, tt.want, tt.assumed)
		}
		if zone, known := tt.text.Zone(); zone != tt.zone || known == tt.assumed {
			t.Errorf("%q: zone %q, known %v", tt.text, zone, known)
		}
	}
	for _, text := range []field.Time{
		"", " ", "2020-04-16", "2020-04-16T05:04:29Z", "2020-13-16 05:04:29", "2020-04-16 05:04:29.5", "2020-04-16 5:04:29", "20201316050429", " 20200416050429", "20200416050429 ",
		"2020-04-16 05:04:29CST", "2020-04-16 05:04:29 CST EST", "2020-04-16 05:04:29 (x)", "Apr 16, 2020 5:04:29", "Apr 16, 2020 5:04:29 AM PM", "Apr 16, 2020 5:04:29 PM AM", "2020-04-16 05:04:29 AM", "2020-04-16 05:04:29 PM", "2020-04-16 05:04:29 A@", "2020-04-16 05:04:29 A[", "2020-04-16 05:04:29 A`", "2020-04-16 05:04:29 A{", "2020-04-16 05:04:29 A;", "2020-04-16 05:04:29 A.", "2020-04-16 05:04:29 é", " CST", "CST", `"20200416050429"`, "2.0200416050429E1", "1e400", "0.5", "1587000000",
	} {
		at, assumed, err := text.Parse()
		var bad *field.TimeError
		if !errors.As(err, &bad) || bad.Raw != string(text) || !at.IsZero() || assumed || fmt.Sprintf("%v %+v", *bad, bad) != err.Error()+" "+err.Error() {
			t.Errorf("%q: got %v", text, err)
		} else if strings.TrimSpace(string(text)) != "" && strings.Contains(err.Error(), string(text)) {
			t.Errorf("the error quotes the text: %v", err)
		}
		if zone, known := text.Zone(); zone != "" || known {
			t.Errorf("%q: zone %q, %v", text, zone, known)
		}
	}
}

// TestTimeParseTrade compares the rule for Toronto with the zone database, where
// the machine has one, at each hour around each change of the clock.
func TestTimeParseTrade(t *testing.T) {
	t.Parallel()
	for text, want := range map[field.Time]time.Time{
		"Apr 14, 2020 12:08:58 AM":  time.Date(2020, 4, 14, 4, 8, 58, 0, time.UTC),
		"Jan 14, 2020, 12:08:58 PM": time.Date(2020, 1, 14, 17, 8, 58, 0, time.UTC),
		"2020-03-08 01:59:59":       time.Date(2020, 3, 8, 6, 59, 59, 0, time.UTC),
		"2020-03-08 03:00:00":       time.Date(2020, 3, 8, 7, 0, 0, 0, time.UTC),
		"2020-11-01 00:59:59":       time.Date(2020, 11, 1, 4, 59, 59, 0, time.UTC),
		"2020-11-01 02:00:00":       time.Date(2020, 11, 1, 7, 0, 0, 0, time.UTC),
		"2020-11-01 02:00:00 CST":   time.Date(2020, 11, 1, 8, 0, 0, 0, time.UTC),
		"20240102030405":            time.Date(2024, 1, 2, 8, 4, 5, 0, time.UTC),
	} {
		if got, assumed, err := text.ParseTrade(); err != nil || !got.Equal(want) || assumed != !strings.HasSuffix(string(text), "CST") {
			t.Errorf("%q: got %v, %v, %v; want %v", text, got, assumed, err, want)
		}
	}
	if _, _, err := field.Time("x").ParseTrade(); err == nil {
		t.Error("read")
	}
	loc, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Skip("no zone database")
	}
	for year := 2007; year < 2037; year++ {
		for day := range 366 {
			for _, hour := range []int{0, 1, 4, 12, 23} {
				want := time.Date(year, 1, 1+day, hour, 30, 0, 0, loc)
				got, _, err := field.Time(want.Format(time.DateTime)).ParseTrade()
				if err != nil || !got.Equal(want) && got.Format(time.DateTime) != want.Format(time.DateTime) || !got.Equal(want) && hour != 1 {
					t.Fatalf("%v: got %v, %v", want, got, err)
				}
			}
		}
	}
}

func TestTimeParseIn(t *testing.T) {
	t.Parallel()
	loc := time.FixedZone("somewhere", -5*60*60)
	want := time.Date(2020, 4, 14, 0, 8, 58, 0, loc)
	for _, text := range []field.Time{
		"Apr 14, 2020 12:08:58 AM", "Apr 14, 2020, 12:08:58 AM", "Apr 14, 2020, 12:08:58\u202fAM", "Apr 14, 2020 12:08:58\u202fAM", "2020-04-14 00:08:58", "20200414000858", "2020-04-14 00:08:58 HKT", "2020-04-14 05:08:58 UTC",
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
	for _, err := range []error{field.JSONString(`{"appId":90210}`).Decode(&v), field.JSONString(`[90210]`).Decode(&v), field.JSONString(`{"appId":"x"}`).Decode(v)} {
		if err == nil || strings.Contains(err.Error(), "90210") || !strings.Contains(err.Error(), "struct") {
			t.Errorf("got %v", err)
		}
	}
	link := field.JSONString("weixin://wxpay/secret")
	err := link.Decode(&v)
	if err == nil || err.Error() != "field: the string does not hold JSON" {
		t.Fatalf("got %v", err)
	}
	if link.Valid() || link.Text() != "weixin://wxpay/secret" {
		t.Error("the text of a link is lost")
	}
}
