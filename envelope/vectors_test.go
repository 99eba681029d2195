package envelope_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/internal/vectors"
)

func mustKey(t testing.TB, signKey string) envelope.Key {
	t.Helper()
	k, err := envelope.NewKey(signKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVectors(t *testing.T) {
	t.Parallel()
	set := vectors.Read(t)
	t.Run("digest", func(t *testing.T) { testDigests(t, set.Digests) })
	t.Run("envelopes", func(t *testing.T) { testEnvelopes(t, set.Envelopes) })
	t.Run("reject", func(t *testing.T) { testRejects(t, set.Rejects) })
}

func testDigests(t *testing.T, all []vectors.Digest) {
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			for _, form := range envelope.Forms {
				want := v.MD5
				if other, ok := v.Other[form.String()]; ok {
					want = other
				} else if form != envelope.FormJava {
					continue // it coincides with another form, or is not given
				}
				text, sum, err := envelope.Digest([]byte(v.JSON), form)
				if err != nil {
					t.Fatal(err)
				}
				if form == envelope.FormJava && text != v.Text {
					t.Errorf("text = %q, want %q", text, v.Text)
				}
				if sum != want {
					t.Errorf("%v: digest = %s, want %s", form, sum, want)
				}
				if slow, err := slowDigest([]byte(v.JSON), form); err != nil || slow != want {
					t.Errorf("%v: the slow digest = %s, %v, want %s", form, slow, err, want)
				}
			}
			for name := range v.Other {
				if formOf(name) < 0 {
					t.Errorf("unknown form %q", name)
				}
			}
		})
	}
}

func formOf(name string) envelope.Form {
	for _, f := range envelope.Forms {
		if f.String() == name {
			return f
		}
	}
	return -1
}

func testEnvelopes(t *testing.T, all []vectors.Envelope) {
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			key := mustKey(t, v.SignKey)
			if formOf(v.Form) < 0 {
				t.Fatalf("unknown form %q", v.Form)
			}
			resp, err := envelope.ReadResponse([]byte(v.Wire))
			if err != nil {
				t.Fatalf("read: %v", err)
			}
			if resp.MD5 != v.MD5 || resp.Data != v.Data {
				t.Error("data or md5 was not read as it stands")
			}
			if got := key.AESKey(resp.MD5); got != v.AESKey {
				t.Errorf("AES key = %s, want %s", got, v.AESKey)
			}
			p, err := key.Open(resp.Sealed)
			if err != nil {
				t.Fatalf("open: %v (%s)", err, envelope.Reason(err))
			}
			if string(p.JSON) != v.Plaintext {
				t.Errorf("plaintext = %s, want %s", p.JSON, v.Plaintext)
			}
			if p.Form.String() != v.Form {
				t.Errorf("form = %v, want %s", p.Form, v.Form)
			}
			if v.Form != "java" || v.MD5 != strings.ToUpper(v.MD5) {
				return // only for opening
			}
			sealed, err := key.Seal([]byte(v.Plaintext))
			if err != nil {
				t.Fatal(err)
			}
			if sealed.MD5 != v.MD5 {
				t.Errorf("sealed md5 = %s, want %s", sealed.MD5, v.MD5)
			}
			if want := strings.Join(strings.Fields(v.Data), ""); sealed.Data != want {
				t.Errorf("sealed data = %s, want %s", sealed.Data, want)
			}
		})
	}
}

func testRejects(t *testing.T, all []vectors.Reject) {
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			key := mustKey(t, v.SignKey)
			resp, err := envelope.ReadResponse([]byte(v.Wire))
			if err == nil {
				_, err = key.Open(resp.Sealed)
			}
			switch v.Stage {
			case "envelope":
				if !errors.Is(err, envelope.ErrMalformed) {
					t.Errorf("error = %v, want ErrMalformed", err)
				}
			case "crypto":
				if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrUnauthentic) {
					t.Errorf("error = %v, want a refusal", err)
				}
			case "content":
				// Authentic, and for the receiver of callbacks to refuse:
				// package middleware runs the same file.
			default:
				t.Fatalf("unknown stage %q", v.Stage)
			}
			if err != nil && envelope.Reason(err) == "" {
				t.Error("a refusal without a reason")
			}
		})
	}
}

// TestSeedCallback checks the digest of the callback that OTT Pay publishes on
// its mini-program page. Its sign key is not published.
func TestSeedCallback(t *testing.T) {
	t.Parallel()
	seed := vectors.Read(t).Seed
	if seed.JSON == "" {
		t.Skip("a foreign directory without the callback")
	}
	text, sum, err := envelope.Digest([]byte(seed.JSON), envelope.FormJava)
	if err != nil || text != seed.Text || sum != seed.MD5 {
		t.Errorf("digest = %s of %q, %v; want %s of %q", sum, text, err, seed.MD5, seed.Text)
	}
	resp, err := envelope.ReadResponse([]byte(seed.Wire))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustKey(t, "6698851A525C9433").Open(resp.Sealed); !errors.Is(err, envelope.ErrUnauthentic) {
		t.Errorf("open under a foreign key: %v, want ErrUnauthentic", err)
	}
}
