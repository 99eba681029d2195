package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// TestPadding seals blocks that no sealer writes, under the digest of what
// stands in them.
func TestPadding(t *testing.T) {
	t.Parallel()
	key := mustKey(t, publishedKey)
	const plaintext = `{"a":"12345678"}` // one block
	_, sum, err := envelope.Digest([]byte(plaintext), envelope.FormJava)
	if err != nil {
		t.Fatal(err)
	}
	spaces := func(n int) string { return strings.Repeat(" ", n) }
	padding := func(n, value int) string { return strings.Repeat(string([]byte{byte(value)}), n) }
	for _, c := range []struct {
		name, blocks, reason string
	}{
		{"a block", plaintext + padding(16, 16), ""},
		{"fifteen bytes", plaintext + spaces(1) + padding(15, 15), ""},
		{"one byte", plaintext + spaces(15) + padding(1, 1), ""},
		{"two bytes", plaintext + spaces(14) + padding(2, 2), ""},
		{"none", plaintext, "padding"},
		{"zero", plaintext + spaces(15) + padding(1, 0), "padding"},
		{"seventeen", plaintext + spaces(15) + padding(17, 17), "padding"},
		{"more than there is", padding(16, 17), "padding"},
		{"all there is", padding(16, 16), "plaintext"},
		{"first byte of it differs", plaintext + spaces(13) + "\x04" + padding(2, 3), "padding"},
		{"middle byte of it differs", plaintext + spaces(12) + "\x04\x05" + padding(2, 4), "padding"},
		{"sixteen of which one differs", plaintext + "\x01" + padding(15, 16), "padding"},
		{"control character before it", plaintext + "\x02" + padding(15, 15), "plaintext"},
	} {
		p, err := key.Open(key.Encrypt(sum, []byte(c.blocks)))
		if envelope.Reason(err) != c.reason {
			t.Errorf("%s: %v (%s), want %q", c.name, err, envelope.Reason(err), c.reason)
		}
		if c.reason == "" && strings.TrimRight(string(p.JSON), " ") != plaintext || c.reason != "" && p.JSON != nil {
			t.Errorf("%s: opened as %q", c.name, p.JSON)
		}
	}
}

// TestForms opens each object under the digest of each form. The form that is
// reported is the first one with that digest.
func TestForms(t *testing.T) {
	t.Parallel()
	key := mustKey(t, publishedKey)
	for _, plaintext := range []string{`{"a":"x"}`, `{"a":1,"b":"x"}`, `{"a":null,"b":"x"}`, `{"a":null,"b":2}`, `{"a":[null,1]}`, `{"a":{"b":null}}`, `{"a":1.0}`, `{"a":10000000}`, `{"a":true,"b":false}`, `{"a":0,"b":-0,"c":0.00001,"d":123456.75}`} {
		for _, form := range envelope.Forms {
			_, sum, err := envelope.Digest([]byte(plaintext), form)
			if err != nil {
				t.Fatal(err)
			}
			first := form
			for i := len(envelope.Forms) - 1; i >= 0; i-- {
				if _, other, _ := envelope.Digest([]byte(plaintext), envelope.Forms[i]); other == sum {
					first = envelope.Forms[i]
				}
			}
			if slow, err := slowDigest([]byte(plaintext), form); err != nil || slow != sum {
				t.Errorf("%s: %v: digest %s, the slow version's %s, %v", plaintext, form, sum, slow, err)
			}
			p, err := key.Open(key.Encrypt(sum, envelope.Pad([]byte(plaintext))))
			if err != nil || p.Form != first || p.Members().Len() != strings.Count(plaintext, ":")-strings.Count(plaintext, ":{") {
				t.Errorf("%s: %v: opened in %v, want %v; %v; %d members", plaintext, form, p.Form, first, err, p.Members().Len())
			}
		}
		if _, err := key.Open(key.Encrypt(strings.Repeat("0", 32), envelope.Pad([]byte(plaintext)))); envelope.Reason(err) != "digest" {
			t.Errorf("%s: another digest: %v", plaintext, err)
		}
	}
	if got := envelope.Form(9).String(); got != "Form(9)" {
		t.Errorf("got %s", got)
	}
}

func TestOpenMalformed(t *testing.T) {
	t.Parallel()
	key, sealed := sealSeed(t)
	for _, c := range []struct{ data, md5, reason string }{
		{sealed.Data, "", "bad-md5"},
		{sealed.Data, sealed.MD5[1:], "bad-md5"},
		{sealed.Data, sealed.MD5 + "0", "bad-md5"},
		{sealed.Data, "G" + sealed.MD5[1:], "bad-md5"},
		{sealed.Data, sealed.MD5[:31] + "g", "bad-md5"},
		{sealed.Data, sealed.MD5[:31] + "/", "bad-md5"},
		{sealed.Data, sealed.MD5[:31] + ":", "bad-md5"},
		{sealed.Data, sealed.MD5[:31] + "@", "bad-md5"},
		{sealed.Data, sealed.MD5[:31] + "`", "bad-md5"},
		{"", sealed.MD5, "bad-length"},
		{" \t", sealed.MD5, "bad-length"},
		{"AAAA", sealed.MD5, "bad-length"},
		{"AAAAAAAAAAAAAAAAAAAAAA", sealed.MD5, "bad-base64"},
		{"AAAAAAAAAAAAAAAAAAAAA===", sealed.MD5, "bad-base64"},
		{"*" + sealed.Data[1:], sealed.MD5, "bad-base64"},
		{"=" + sealed.Data[1:], sealed.MD5, "bad-base64"},
	} {
		p, err := key.Open(envelope.Sealed{Data: c.data, MD5: c.md5})
		if envelope.Reason(err) != c.reason || !errors.Is(err, envelope.ErrMalformed) || p.JSON != nil || err.Error() != "envelope: malformed: "+c.reason {
			t.Errorf("%.20q, %q: %v, want %s", c.data, c.md5, err, c.reason)
		}
		body := fmt.Sprintf(`{"rsp_code":"SUCCESS","data":%q,"md5":%q}`, c.data, c.md5)
		resp, err := envelope.ReadResponse([]byte(body))
		want := map[string]string{"": "no-md5"}[c.md5]
		if want == "" {
			want = map[string]string{"": "no-data"}[c.data]
		}
		if want == "" {
			want = c.reason
		}
		if envelope.Reason(err) != want || resp != (envelope.Response{}) {
			t.Errorf("%.20q, %q: read: %v (%s), want %s", c.data, c.md5, err, envelope.Reason(err), want)
		}
	}
	if err := envelope.ErrUnauthentic; err.Error() != "envelope: not authentic" {
		t.Errorf("got %v", err)
	}
}

// TestCheckData names the fault of each spelling: what is checked without
// decoding is what decoding would say.
func TestCheckData(t *testing.T) {
	t.Parallel()
	letters := strings.Repeat("A", 22)
	for data, reason := range map[string]string{
		letters + "==": "", letters + "= =": "", letters + "=\r\n=\t": "", " " + letters + "==": "", "\t" + letters + "==": "", letters + "\t==": "",
		letters + "=": "bad-base64", letters + "===": "bad-base64", letters + "==A": "bad-base64", letters + "=A": "bad-base64", letters + "==AA": "bad-base64", letters + "==AAAAAAAA": "bad-base64",
		"A===": "bad-base64", "=": "bad-base64", "==": "bad-base64", "====": "bad-base64", "AA==": "bad-length", "AAA=": "bad-length", "": "bad-length", "    ": "bad-length", letters + "A=": "bad-length", letters + "AA": "bad-length",
		letters + "-=": "bad-base64", letters + "_=": "bad-base64", letters + "\x00=": "bad-base64", letters + "\v==": "bad-base64", letters + "é==": "bad-base64",
	} {
		if got := envelope.Reason(envelope.CheckData(data)); got != reason {
			t.Errorf("%q: %q, want %q", data, got, reason)
		}
		if got := envelope.Reason(envelope.DecodeData(data)); got != reason {
			t.Errorf("%q: decoding says %q, want %q", data, got, reason)
		}
	}
}

// TestReadSaysWhy: which fault of several is told, and that nothing is handed
// out beside it.
func TestReadSaysWhy(t *testing.T) {
	t.Parallel()
	_, sealed := sealSeed(t)
	whole := `"data":"` + sealed.Data + `","md5":"` + sealed.MD5 + `"`
	for _, c := range []struct{ body, request, response, answer string }{
		{`{"action"`, "not-json", "not-json", "not-json"},
		{`{}`, "no-data", "no-data", ""},
		{`{` + whole + `}`, "", "", ""},
		{`{"rsp_code":"FAIL","data":null}`, "no-data", "no-data", ""},
		{`{"rsp_code":"SUCCESS","data":null}`, "no-data", "no-data", "no-data"},
		{`{"rsp_code":"success","data":"` + sealed.Data + `"}`, "no-md5", "no-md5", "no-md5"},
		{`{"rsp_code":null,"rsp_msg":null,"merchant_id":null,"action":null,` + whole + `}`, "", "", ""},
		{`{"rsp_msg":true,` + whole + `}`, "", "member-type", "member-type"},
		{`{"rsp_code":{},` + whole + `}`, "", "member-type", "member-type"},
		{`{"merchant_id":7,` + whole + `}`, "member-type", "member-type", "member-type"},
		{`{"action":[],` + whole + `}`, "member-type", "", ""},
		{`{"data":7,"md5":"` + sealed.MD5 + `"}`, "member-type", "member-type", "member-type"},
		{`{"data":"` + sealed.Data + `","md5":7}`, "member-type", "member-type", "member-type"},
	} {
		request, err := envelope.ReadRequest([]byte(c.body))
		if envelope.Reason(err) != c.request || err != nil && request != (envelope.Request{}) {
			t.Errorf("%.60s: request: %v, want %s", c.body, err, c.request)
		}
		response, err := envelope.ReadResponse([]byte(c.body))
		if envelope.Reason(err) != c.response || err != nil && response != (envelope.Response{}) {
			t.Errorf("%.60s: response: %v, want %s", c.body, err, c.response)
		}
		answer, err := envelope.ReadAnswer([]byte(c.body))
		if envelope.Reason(err) != c.answer || err != nil && answer != (envelope.Response{}) {
			t.Errorf("%.60s: answer: %v, want %s", c.body, err, c.answer)
		}
	}
}

// TestScratchKeepsNothing: what Open and Seal work in holds nothing of a
// payment afterwards, and does not stay large.
func TestScratchKeepsNothing(t *testing.T) {
	key, sealed := sealSeed(t)
	wrong := sealed
	wrong.MD5 = strings.ToLower(sealed.MD5)
	large := []byte(`{"a":"` + strings.Repeat("x", 10_000) + `"}`)
	sealedLarge, err := key.Seal(large)
	if err != nil {
		t.Fatal(err)
	}
	wrongLarge := sealedLarge
	wrongLarge.MD5 = strings.ToLower(sealedLarge.MD5)
	medium := []byte(`{"a":"` + strings.Repeat("x", 4000) + `"}`) // its Base64 is large
	small := []byte(`{"a":"` + strings.Repeat("x", 3000) + `"}`)
	sealedSmall, err := key.Seal(small)
	if err != nil {
		t.Fatal(err)
	}
	used := false
	for name, fn := range map[string]func(){
		"Open":            func() { key.Open(sealed) },
		"a forgery":       func() { key.Open(wrong) },
		"a large message": func() { key.Open(sealedLarge) },
		"Seal":            func() { key.Seal([]byte(seedPayload)) },
		"a refused Seal":  func() { key.Seal([]byte(seedPayload + "x")) },
		"a large Seal":    func() { key.Seal(large) },
		"a large forgery": func() { key.Open(wrongLarge) },
		"a medium Seal":   func() { key.Seal(medium) },
	} {
		for range 20 { // the pool may forget
			fn()
			memory, ok := key.Scratch()
			used = used || ok
			if len(bytes.Trim(memory, "\x00")) != 0 || len(memory) > 2*4096 {
				t.Fatalf("%s: %d bytes remain, of %d", name, len(bytes.Trim(memory, "\x00")), len(memory))
			}
		}
	}
	if !used {
		t.Error("no scratch space was used again")
	}
	key.Open(sealedSmall)
	if memory, ok := key.Scratch(); ok && len(memory) < 2*len(small) {
		t.Errorf("only %d bytes are cleared after a message of %d: not those that it was decrypted into", len(memory), len(small))
	}
}

func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	key, sealed := sealSeed(t)
	p, err := key.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for want, values := range map[string][]any{
		fmt.Sprintf("envelope(%d bytes)", len(sealed.Data)):      {sealed, sealed.LogValue()},
		fmt.Sprintf("payload(%d bytes, java)", len(seedPayload)): {p, p.LogValue()},
		"envelope.Key(redacted)":                                 {key, key.LogValue(), key.String(), key.GoString()},
	} {
		for _, v := range values {
			if got := fmt.Sprint(v); got != want {
				t.Errorf("%T: %s, want %s", v, got, want)
			}
		}
	}
	if text, err := key.MarshalText(); err != nil || string(text) != "envelope.Key(redacted)" {
		t.Errorf("got %s, %v", text, err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "payload", p)
	if !strings.Contains(log.String(), "key=envelope.Key(redacted) payload=\"payload(") {
		t.Errorf("logged as %s", log.String())
	}
}
