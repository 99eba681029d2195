package envelope_test

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// TestDigestedMembers: joined, the texts are what Seal computes the digest of.
func TestDigestedMembers(t *testing.T) {
	t.Parallel()
	key, err := envelope.NewKey("6698851A525C9433")
	if err != nil {
		t.Fatal(err)
	}
	for _, plaintext := range []string{
		`{}`,
		`{"order_id":"A1001","amount":"1999","b":"","a":"x"}`,
		`{"n":1,"e":1e30,"z":null,"t":true,"o":{"b":2,"a":[1,"x",null]}}`,
		`{"\ud83d\ude00":"astral","\uff5e":"after it","é":"ü\n"}`,
	} {
		sealed, err := key.Seal([]byte(plaintext))
		if err != nil {
			t.Fatal(err)
		}
		members, err := envelope.DigestedMembers([]byte(plaintext), envelope.FormJava)
		if err != nil {
			t.Fatal(err)
		}
		var joined strings.Builder
		for _, m := range members {
			joined.WriteString(m.Text)
		}
		sum := md5.Sum([]byte(joined.String()))
		if got := strings.ToUpper(hex.EncodeToString(sum[:])); got != sealed.MD5 {
			t.Errorf("%s: the texts %+v have the digest %s, want %s", plaintext, members, got, sealed.MD5)
		}
	}
	members, err := envelope.DigestedMembers([]byte(`{"b":1999,"a":null}`), envelope.FormRawNullEmpty)
	want := []envelope.Digested{{Name: "a"}, {Name: "b", Text: "1999"}}
	if err != nil || len(members) != 2 || members[0] != want[0] || members[1] != want[1] {
		t.Errorf("got %+v, %v, want %+v", members, err, want)
	}
	for _, bad := range []string{``, `[]`, `{"a":1,"a":2}`, `{} x`} {
		if _, err := envelope.DigestedMembers([]byte(bad), envelope.FormJava); !errors.Is(err, envelope.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
