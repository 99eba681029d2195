package envelope_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// vectorDir is where TestVectors reads: the package's own files, or foreign
// ones of the formats in testdata/vectors/README.md.
func vectorDir() string {
	if dir := os.Getenv("OTTPAY_VECTORS"); filepath.IsAbs(dir) {
		return dir
	} else if dir != "" {
		return filepath.Join("..", dir) // as seen from where go test ./envelope is typed
	}
	return filepath.Join("testdata", "vectors")
}

// readVectors decodes one file strictly: a member that this test does not know
// is a demand that it does not check. A file that a foreign directory lacks is
// no failure as long as one is there.
func readVectors(t *testing.T, name string, into any) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir(), name))
	if errors.Is(err, os.ErrNotExist) && os.Getenv("OTTPAY_VECTORS") != "" {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return true
}

type digestVector struct {
	Name, JSON, Text, MD5 string
	Other                 map[string]string
}

type envelopeVector struct {
	Name      string
	SignKey   string `json:"sign_key"`
	Form      string
	Plaintext string
	MD5       string
	AESKey    string `json:"aes_key"`
	Data      string
	Wire      string
}

type rejectVector struct {
	Name       string
	SignKey    string `json:"sign_key"`
	MerchantID string `json:"merchant_id"`
	Stage      string
	Reason     string
	Wire       string
}

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
	var (
		digests   []digestVector
		envelopes []envelopeVector
		rejects   []rejectVector
	)
	ran := 0
	if readVectors(t, "digest.json", &digests) {
		ran++
		t.Run("digest", func(t *testing.T) { testDigests(t, digests) })
	}
	if readVectors(t, "envelopes.json", &envelopes) {
		ran++
		t.Run("envelopes", func(t *testing.T) { testEnvelopes(t, envelopes) })
	}
	if readVectors(t, "reject.json", &rejects) {
		ran++
		t.Run("reject", func(t *testing.T) { testRejects(t, rejects) })
	}
	if ran == 0 {
		t.Fatalf("%s: no vector file", vectorDir())
	}
}

func testDigests(t *testing.T, vectors []digestVector) {
	for _, v := range vectors {
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

func testEnvelopes(t *testing.T, vectors []envelopeVector) {
	for _, v := range vectors {
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

func testRejects(t *testing.T, vectors []rejectVector) {
	for _, v := range vectors {
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
	var seed struct {
		Name, Action, JSON, Text, MD5, Wire string
		Values                              json.RawMessage
	}
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", "seed_callback.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &seed); err != nil {
		t.Fatal(err)
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
