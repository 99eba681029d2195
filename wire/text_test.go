package wire_test

import (
	"slices"
	"testing"
	"unicode/utf16"

	"github.com/ottpaykit/ottpay/wire"
)

func TestCompareUTF16(t *testing.T) {
	t.Parallel()
	names := []string{"", "1", "A", "_", "a", "aa", "z", "é", "\ud7ff", "\ue000", "\uffff", "～", "😀", "\U00010000", "\U0010ffff",
		"a😀", "a\ue000", "😀a", "\ue000a", "😀😁", "😀\ue000", "\uefff", "\uf8ff", "seven77", "eight888", "eight888x", "eight888\ue000", "eight888😀", "eight8😀", "eight8\ue000"}
	for _, a := range names {
		for _, b := range names {
			want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
			if got := wire.CompareUTF16(a, b); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("compare(%+q, %+q) = %d, want the sign of %d", a, b, got, want)
			}
			if x, y := wire.PrefixUTF16(a), wire.PrefixUTF16(b); x < y && want > 0 || x > y && want < 0 {
				t.Errorf("the prefixes of %+q and %+q are %x and %x", a, b, x, y)
			}
		}
	}
}
