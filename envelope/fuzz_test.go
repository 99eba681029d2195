package envelope_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/internal/vectors"
)

// FuzzDigest: the digest and what is refused are those of the slow version, in
// every form.
func FuzzDigest(f *testing.F) {
	set := vectors.Read(f)
	for _, v := range set.Digests {
		f.Add([]byte(v.JSON))
	}
	for _, v := range set.Rejects {
		f.Add([]byte(v.Wire))
	}
	for _, s := range []string{`{"a":[{"b":1,"b":2}]}`, `{"a":1e400}`, `{"a":"\ud800"}`, `{"a":1,}`, `{"a":[1 , 2]	}`, `{"a":-0.0e-5}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		for _, form := range envelope.Forms {
			_, got, err := envelope.Digest(plaintext, form)
			want, slowErr := slowDigest(plaintext, form)
			if (err == nil) != (slowErr == nil) {
				t.Fatalf("%v: error %v, the slow version's %v", form, err, slowErr)
			}
			if got != want {
				t.Fatalf("%v: digest %s, the slow version's %s", form, got, want)
			}
		}
	})
}

// FuzzSealOpen: Open(Seal(x)) == x for whatever can be sealed, and neither
// another key nor a flipped bit opens it.
func FuzzSealOpen(f *testing.F) {
	f.Add([]byte(`{"order_id":"A1","amount":"100"}`), "6698851A525C9433", uint(0))
	f.Add([]byte(`{"total_amount":275900,"n":null,"o":{"a":[1,2]}}`), "k", uint(77))
	f.Add([]byte(` {} `), "12345678901234", uint(300))
	f.Fuzz(func(t *testing.T, plaintext []byte, signKey string, flip uint) {
		key, err := envelope.NewKey(signKey)
		if err != nil {
			if signKey != "" && strings.TrimSpace(signKey) == signKey {
				t.Fatalf("NewKey: %v", err)
			}
			return
		}
		sealed, err := key.Seal(plaintext)
		if _, slowErr := slowDigest(plaintext, envelope.FormJava); (err == nil) != (slowErr == nil) {
			t.Fatalf("Seal: %v, the slow version's %v", err, slowErr)
		}
		if err != nil {
			return
		}
		p, err := key.Open(sealed)
		if err != nil || !bytes.Equal(p.JSON, plaintext) || p.Form != envelope.FormJava {
			t.Fatalf("Open(Seal(x)) = %q, %v, %v", p.JSON, p.Form, err)
		}
		other := mustKey(t, signKey+"0")
		if _, err := other.Open(sealed); !errors.Is(err, envelope.ErrUnauthentic) {
			t.Fatalf("another key: %v", err)
		}
		data, err := base64.StdEncoding.DecodeString(sealed.Data)
		if err != nil {
			t.Fatal(err)
		}
		data[flip/8%uint(len(data))] ^= 1 << (flip % 8)
		flipped := envelope.Sealed{Data: base64.StdEncoding.EncodeToString(data), MD5: sealed.MD5}
		if _, err := key.Open(flipped); !errors.Is(err, envelope.ErrUnauthentic) {
			t.Fatalf("a flipped bit: %v", err)
		}
	})
}

// FuzzRead: no body panics; what is read opens or is refused with one of the
// two sentinels and a reason; what opens has the digest that it says.
func FuzzRead(f *testing.F) {
	set := vectors.Read(f)
	for _, v := range set.Envelopes {
		f.Add([]byte(v.Wire))
	}
	for _, v := range set.Rejects {
		f.Add([]byte(v.Wire))
	}
	key := mustKey(f, "6698851A525C9433")
	f.Fuzz(func(t *testing.T, body []byte) {
		resp, err := envelope.ReadResponse(body)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) || envelope.Reason(err) == "" {
				t.Fatalf("read: %v", err)
			}
			return
		}
		if answer, err := envelope.ReadAnswer(body); err != nil || answer != resp {
			t.Fatalf("ReadAnswer is stricter than ReadResponse: %v", err)
		}
		p, err := key.Open(resp.Sealed)
		if err != nil {
			if !errors.Is(err, envelope.ErrUnauthentic) || envelope.Reason(err) == "" {
				t.Fatalf("open: %v", err)
			}
			return
		}
		if sum, err := slowDigest(p.JSON, p.Form); err != nil || !strings.EqualFold(sum, resp.MD5) {
			t.Fatalf("opened with digest %s, %v; the envelope says %s", sum, err, resp.MD5)
		}
	})
}

// FuzzData: what checkData accepts decodes, what it refuses does not.
func FuzzData(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==")
	f.Add(" AAAAAAAAAAAA\tAAAAAAAA\r\nAA= =\n")
	f.Add("AAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("AAAA-AAAAAAAAAAAAAAAAA==")
	f.Fuzz(func(t *testing.T, data string) {
		checked, decoded := envelope.CheckData(data), envelope.DecodeData(data)
		if (checked == nil) != (decoded == nil) {
			t.Fatalf("check: %v, decode: %v", checked, decoded)
		}
		strip := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(data)
		b, err := base64.StdEncoding.DecodeString(strip)
		if want := err == nil && len(b) > 0 && len(b)%16 == 0; want != (checked == nil) {
			t.Fatalf("check: %v, encoding/base64 says %v", checked, err)
		}
	})
}
