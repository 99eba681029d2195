package explain

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

var update = flag.Bool("update", false, "write gbk.bin")

// TestGBK compares the table of GBK, which is embedded so that the command does
// not carry a whole library of encodings, with that library. With -update it
// writes the table.
func TestGBK(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	for lead := byte(0x81); lead <= 0xfe; lead++ {
		for trail := byte(0x40); trail <= 0xfe; trail++ {
			if trail == 0x7f {
				continue
			}
			r := rune(0)
			if out, err := simplifiedchinese.GBK.NewDecoder().Bytes([]byte{lead, trail}); err == nil {
				if list := []rune(string(out)); len(list) == 1 && list[0] != 0xfffd && list[0] <= 0xffff {
					r = list[0]
				}
			}
			want.WriteByte(byte(r >> 8))
			want.WriteByte(byte(r))
		}
	}
	if *update {
		if err := os.WriteFile("gbk.bin", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if gbkTable != want.String() {
		t.Error("gbk.bin is not the table; go test -run TestGBK -update writes it")
	}
	for _, s := range []string{"张三", "谢谢 abc", "￥—…", ""} {
		narrow, err := simplifiedchinese.GBK.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := encodeGBK(s); !ok || got != narrow {
			t.Errorf("%q: % x, want % x", s, got, narrow)
		}
		if back, ok := decodeGBK([]byte(narrow)); !ok || back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	}
	for c := range 256 {
		b := []byte{byte(c)}
		out, err := charmap.Windows1252.NewDecoder().Bytes(b)
		if err != nil || string(out) == "\ufffd" {
			continue
		}
		if got, ok := decodeWindows1252(b); !ok || got != string(out) {
			t.Errorf("byte %#x is %q, want %q", c, got, out)
		}
	}
}
