// Package vectors reads the published test vectors, and holds the splices that
// tests of more than one package need. It is for tests.
package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Digest is a digest of digest.json: Text is what is hashed in the canonical
// form of the gateway, Other the digests of the other forms by name.
type Digest struct {
	Name, JSON, Text, MD5 string
	Other                 map[string]string
}

// Envelope is one of envelopes.json, which opens.
type Envelope struct {
	Name      string
	SignKey   string `json:"sign_key"`
	Form      string
	Plaintext string
	MD5       string
	AESKey    string `json:"aes_key"`
	Data      string
	Wire      string
}

// Reject is an envelope of reject.json. Stage is the last check that may let it
// through: "envelope", "crypto" or "content".
type Reject struct {
	Name       string
	SignKey    string `json:"sign_key"`
	MerchantID string `json:"merchant_id"`
	Stage      string
	Reason     string
	Wire       string
}

// Seed is the callback that OTT Pay publishes on its mini-program page.
type Seed struct {
	Name, Action, JSON, Text, MD5, Wire string
	Values                              json.RawMessage
}

// Set is what a directory of vectors holds. Files that a foreign directory
// lacks are empty.
type Set struct {
	Digests   []Digest
	Envelopes []Envelope
	Rejects   []Reject
	Seed      Seed
}

// Read reads the project's own vectors, envelope/testdata/vectors, or the
// directory that the environment variable OTTPAY_VECTORS names, relative to the
// root module. It is called from the tests of a package that is one directory
// below the root. A member that this package does not know fails the test: it
// is a demand that is not checked.
func Read(tb testing.TB) Set {
	tb.Helper()
	dir, foreign := filepath.Join("..", "envelope", "testdata", "vectors"), false
	if named := os.Getenv("OTTPAY_VECTORS"); named != "" {
		dir, foreign = named, true
		if !filepath.IsAbs(dir) {
			dir = filepath.Join("..", dir)
		}
	}
	var s Set
	found := 0
	for _, file := range []struct {
		name string
		into any
	}{
		{"digest.json", &s.Digests},
		{"envelopes.json", &s.Envelopes},
		{"reject.json", &s.Rejects},
		{"seed_callback.json", &s.Seed},
	} {
		b, err := os.ReadFile(filepath.Join(dir, file.name))
		if foreign && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(file.into); err != nil {
			tb.Fatalf("%s: %v", file.name, err)
		}
		found++
	}
	if found == 0 {
		tb.Fatalf("%s: no vector file", dir)
	}
	return s
}
