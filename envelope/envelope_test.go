package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

func TestNewKey(t *testing.T) {
	t.Parallel()
	for _, signKey := range []string{"", " ", " 6698851A525C9433", "6698851A525C9433\n", "\u00a06698851A525C9433"} {
		_, err := envelope.NewKey(signKey)
		if err == nil {
			t.Errorf("NewKey(%q): no error", signKey)
		} else if strings.Contains(err.Error(), "6698851A525C9433") {
			t.Errorf("NewKey(%q): the error shows the key", signKey)
		}
	}
	for _, signKey := range []string{publishedKey, "12345678901234", "a b", "k", strings.Repeat("K", 200)} {
		key, err := envelope.NewKey(signKey)
		if err != nil {
			t.Errorf("NewKey(%q): %v", signKey, err)
			continue
		}
		sealed, err := key.Seal([]byte(`{"a":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Open(sealed); err != nil {
			t.Errorf("%q: %v", signKey, err)
		}
	}
}

func TestZeroKey(t *testing.T) {
	t.Parallel()
	var key envelope.Key
	if !key.IsZero() {
		t.Error("IsZero() = false")
	}
	if _, err := key.Seal([]byte(`{}`)); err == nil {
		t.Error("Seal: no error")
	}
	_, sealed := sealSeed(t)
	if p, err := key.Open(sealed); err == nil || p.JSON != nil {
		t.Error("Open: no error")
	}
}

// TestRedaction puts a key and a payload through every way of printing.
func TestRedaction(t *testing.T) {
	t.Parallel()
	key, sealed := sealSeed(t)
	payload, err := key.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	type config struct {
		Name string
		Key  envelope.Key
		key  envelope.Key
		ptr  *envelope.Key
		m    map[string]envelope.Key
	}
	c := config{"shop", key, key, &key, map[string]envelope.Key{"k": key}}
	resp := envelope.Response{Code: "SUCCESS", Sealed: sealed}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "key", key, "config", c, "ptr", &key, "any", any(c),
			"sealed", sealed, "response", resp, "payload", payload)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "%d", "%T"} {
		for _, v := range []any{key, &key, c, &c, []envelope.Key{key}, sealed, resp, &resp, payload, &payload, any(key)} {
			fmt.Fprintf(&log, verb+"\n", v)
		}
	}
	for _, v := range []any{key, &key, c, map[envelope.Key]int{key: 1}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(b)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	log.Write(text)
	log.WriteString(key.String() + key.GoString() + fmt.Sprint(key.LogValue()))
	if _, err := (envelope.Key{}).Open(sealed); err != nil {
		log.WriteString(err.Error())
	}

	hexKey := fmt.Sprintf("%x", publishedKey)
	for _, secret := range []string{publishedKey, hexKey, strings.ToUpper(hexKey), "AL781266859681754", sealed.Data, sealed.MD5, sealed.Data[:24]} {
		if i := strings.Index(log.String(), secret); i >= 0 {
			t.Errorf("%q shows: %s", secret, log.String()[max(0, i-100):i+len(secret)])
		}
	}
	if !strings.Contains(log.String(), "envelope.Key(redacted)") {
		t.Error("nothing says that a key was left out")
	}
}

// TestUniformRefusal: what a stranger could learn from is in Reason alone.
func TestUniformRefusal(t *testing.T) {
	t.Parallel()
	key, sealed := sealSeed(t)
	reseal := func(change func([]byte) []byte) envelope.Sealed {
		b, err := base64.StdEncoding.DecodeString(sealed.Data)
		if err != nil {
			t.Fatal(err)
		}
		return envelope.Sealed{Data: base64.StdEncoding.EncodeToString(change(b)), MD5: sealed.MD5}
	}
	seen := map[string]bool{}
	for name, c := range map[string]struct {
		key    envelope.Key
		sealed envelope.Sealed
	}{
		"wrong key": {mustKey(t, "6698851A525C9434"), sealed},
		"cut":       {key, reseal(func(b []byte) []byte { return b[:len(b)-16] })},
		"first cut": {key, reseal(func(b []byte) []byte { return b[16:] })},
		"values moved": {key, reseal(func(b []byte) []byte {
			return append(slices.Clone(b[16:32]), append(slices.Clone(b[:16]), b[32:]...)...)
		})},
		"other digest": {key, envelope.Sealed{Data: sealed.Data, MD5: strings.ToLower(sealed.MD5)}},
	} {
		p, err := c.key.Open(c.sealed)
		if !errors.Is(err, envelope.ErrUnauthentic) || err.Error() != envelope.ErrUnauthentic.Error() {
			t.Errorf("%s: %v", name, err)
		}
		if p.JSON != nil {
			t.Errorf("%s: plaintext came out", name)
		}
		seen[envelope.Reason(err)] = true
		if envelope.Reason(fmt.Errorf("webhook: %w", err)) != envelope.Reason(err) {
			t.Errorf("%s: another error around it hides the reason", name)
		}
	}
	if envelope.Reason(errors.New("x")) != "" || envelope.Reason(nil) != "" || envelope.Reason(fmt.Errorf("x: %w", io.EOF)) != "" {
		t.Error("a reason for a foreign error")
	}
	if seen[""] {
		t.Error("a refusal without a reason")
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	_, sealed := sealSeed(t)
	whole := `"data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"`
	for _, c := range []struct {
		name, body string
		sealed, ok bool
	}{
		{"success", `{"rsp_code":"SUCCESS",` + whole + `}`, true, true},
		{"failure with data", `{"rsp_code":"FAIL","rsp_msg":"no",` + whole + `}`, true, true},
		{"failure without", `{"rsp_code":"FAIL","rsp_msg":"no"}`, false, true},
		{"failure, null", `{"rsp_code":"FAIL","data":null,"md5":null}`, false, true},
		{"failure, empty", `{"rsp_code":"FAIL","data":"","md5":""}`, false, true},
		{"failure, only md5", `{"rsp_code":"FAIL","md5":"` + sealed.MD5 + `"}`, false, true},
		{"no code, no data", `{}`, false, true},
		{"success without", `{"rsp_code":"SUCCESS"}`, false, false},
		{"success in small letters without", `{"rsp_code":"success","data":""}`, false, false},
		{"failure, data without md5", `{"rsp_code":"FAIL","data":"` + sealed.Data + `"}`, false, false},
		{"failure, data an object", `{"rsp_code":"FAIL","data":{}}`, false, false},
		{"code a number", `{"rsp_code":1,` + whole + `}`, false, false},
		{"not JSON", `<html>`, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := envelope.ReadAnswer([]byte(c.body))
			if (err == nil) != c.ok {
				t.Fatalf("error %v", err)
			}
			if err != nil && !errors.Is(err, envelope.ErrMalformed) {
				t.Errorf("error %v, want ErrMalformed", err)
			}
			if (r.Sealed != envelope.Sealed{}) != c.sealed {
				t.Errorf("sealed: %v", r.Sealed != envelope.Sealed{})
			}
		})
	}
}

// TestRead covers what the vectors do not: sizes, nesting, spelling.
func TestRead(t *testing.T) {
	t.Parallel()
	_, sealed := sealSeed(t)
	with := func(more string) string {
		return `{"data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"` + more + `}`
	}
	nested := func(n int) string { return `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, body, reason string
	}{
		{"plain", with(``), ""},
		{"unknown members", with(`,"x":{"data":1},"Data":"y","MD5":null`), ""},
		{"escaped name", strings.Replace(with(``), `"data"`, `"d\u0061ta"`, 1), ""},
		{"32 levels", with(nested(31)), ""},
		{"33 levels", with(nested(32)), "too-deep"},
		{"escaped name twice", with(`,"d\u0061ta":"x"`), "duplicate-name"},
		{"unknown member twice", with(`,"x":1,"x":1`), "duplicate-name"},
		{"nested member twice", with(`,"x":{"y":1,"y":1}`), "duplicate-name"},
		{"byte order mark", "\ufeff" + with(``), "not-an-object"},
		{"form feed", with(``) + "\f", "trailing-bytes"},
		{"two objects", with(``) + with(``), "trailing-bytes"},
		{"comma too many", with(`,`), "not-json"},
		{"comment", with(`/**/`), "not-json"},
		{"control character", with(",\"x\":\"\x01\""), "not-json"},
		{"bad UTF-8", with(",\"x\":\"\xff\""), "not-utf-8"},
		{"half a pair", with(`,"x":"\ud800x"`), "not-json"},
		{"1 MiB", with(`,"x":"` + strings.Repeat("x", 1<<20-len(with(`,"x":""`))) + `"`), ""},
		{"1 MiB and a byte", with(`,"x":"` + strings.Repeat("x", 1<<20+1-len(with(`,"x":""`))) + `"`), "too-large"},
		{"blank in md5", `{"data":"` + sealed.Data + `","md5":" ` + sealed.MD5[1:] + `"}`, "bad-md5"},
		{"URL-safe letters", `{"data":"` + strings.Repeat("-_", 32) + `","md5":"` + sealed.MD5 + `"}`, "bad-base64"},
		{"no padding", `{"data":"` + strings.TrimRight(sealed.Data, "=") + `","md5":"` + sealed.MD5 + `"}`, "bad-base64"},
		{"padding alone", `{"data":"====","md5":"` + sealed.MD5 + `"}`, "bad-base64"},
		{"blanks alone", `{"data":"    ","md5":"` + sealed.MD5 + `"}`, "bad-length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := envelope.ReadResponse([]byte(c.body))
			if got := envelope.Reason(err); got != c.reason {
				t.Errorf("reason %q (%v), want %q", got, err, c.reason)
			}
		})
	}
}

func TestReadRequest(t *testing.T) {
	t.Parallel()
	_, sealed := sealSeed(t)
	want := envelope.Request{
		Action: "ACTIVEPAY", Version: "1.0", MerchantID: "TS00000001",
		TerminalNo: "0001", OperatorID: `a"b`, Sealed: sealed,
	}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := envelope.ReadRequest(body)
	if err != nil || got != want {
		t.Errorf("read back differs: %v", err)
	}
	if _, err := envelope.ReadRequest([]byte(`{"action":"X"}`)); envelope.Reason(err) != "no-data" {
		t.Errorf("without data: %v", err)
	}
}

// TestWhiteSpaceInData: blanks, tabs and line breaks anywhere, even between
// the two signs of the padding.
func TestWhiteSpaceInData(t *testing.T) {
	t.Parallel()
	key, sealed := sealSeed(t)
	var wrapped strings.Builder
	for i, c := range sealed.Data {
		wrapped.WriteRune(c)
		wrapped.WriteByte(" \t\r\n"[i%4])
	}
	if _, err := key.Open(envelope.Sealed{Data: wrapped.String(), MD5: sealed.MD5}); err != nil {
		t.Error(err)
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	key := mustKey(t, publishedKey)
	const plaintext = ` {"b":"x\u0041", "a":1.50,"\u0063":{"a":2} ,"n":null,"é":[]}`
	sealed, err := key.Seal([]byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	p, err := key.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	other, err := key.Open(sealed) // shares no scratch space with the first
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "1.50", "b": `"x\u0041"`, "c": `{"a":2}`, "n": "null", "é": "[]"} {
		for _, p := range []envelope.Payload{p, other} {
			if got, ok := p.Member(name); !ok || string(got) != want {
				t.Errorf("Member(%q) = %s, %v; want %s", name, got, ok, want)
			}
		}
	}
	for _, name := range []string{"", "A", "B", "x", "\\u0063"} {
		if got, ok := p.Member(name); ok {
			t.Errorf("Member(%q) = %s", name, got)
		}
	}
	if _, ok := (envelope.Payload{}).Member("a"); ok {
		t.Error("the zero Payload has a member")
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	key := mustKey(t, publishedKey)
	for _, plaintext := range []string{``, `null`, `[]`, `{"a":1,"a":1}`, `{"a":1e999}`, `{"a":NaN}`, `{"a":"` + "\xff" + `"}`, `{} x`} {
		if _, err := key.Seal([]byte(plaintext)); !errors.Is(err, envelope.ErrMalformed) {
			t.Errorf("Seal(%q): %v, want ErrMalformed", plaintext, err)
		}
	}
}

func Example() {
	// OTT Pay's published example; a real key comes from the environment.
	key, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := key.Seal([]byte(`{"order_id":"A1","amount":"100"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sealed.MD5)

	payload, err := key.Open(sealed)
	fmt.Println(string(payload.JSON), err)

	sealed.MD5 = "00000000000000000000000000000000"
	_, err = key.Open(sealed)
	fmt.Println(err, errors.Is(err, envelope.ErrUnauthentic))
	// Output:
	// C1183D24C59AAB6D2816D6BC19C6EFEE
	// {"order_id":"A1","amount":"100"} <nil>
	// envelope: not authentic true
}

func TestBase64Alphabet(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		data := string([]byte{byte(c)}) + strings.Repeat("A", 21) + "=="
		_, err := base64.StdEncoding.DecodeString(data)
		if got := envelope.CheckData(data); (got == nil) != (err == nil) {
			t.Errorf("%q: %v, encoding/base64 says %v", byte(c), got, err)
		}
	}
}
