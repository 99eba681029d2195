package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// TestDrawings: a scanner of other people's reads each drawing, to the letter.
func TestDrawings(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		"https://qr.example/2020041468976",
		"weixin://wxpay/bizpayurl?pr=AbC123&x=%2F+ ü",
		"12345678",
		strings.Repeat("https://qr.example/", 40),
	} {
		c, err := encode(content)
		if err != nil {
			t.Fatal(err)
		}
		for name, d := range map[string]struct {
			write func(io.Writer) error
			see   func(*testing.T, []byte) image.Image
		}{
			"terminal": {c.writeTerminal, seeTerminal},
			"png":      {c.writePNG, seePNG},
			"svg":      {c.writeSVG, seeSVG},
		} {
			var b bytes.Buffer
			if err := d.write(&b); err != nil {
				t.Fatal(err)
			}
			if got := scan(t, d.see(t, b.Bytes())); got != content {
				t.Errorf("%s: scanned %q, want %q", name, got, content)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	if _, err := encode(strings.Repeat("x", 5000)); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("got %v, want an error that does not quote", err)
	}
}

// TestRun: the code that is drawn is the order's, and the program sees that it
// is paid.
func TestRun(t *testing.T) {
	t.Parallel()
	gateway := ottpaytest.NewGateway(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey})
	defer gateway.Close()
	dir := t.TempDir()
	out := &screen{shown: make(chan struct{}), word: gateway.URL}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, out, gateway.URL, dir) }()
	select {
	case <-out.shown:
	case err := <-ended:
		t.Fatalf("ended before the code was shown: %v", err)
	}

	content := scan(t, seePNG(t, read(t, filepath.Join(dir, "ottpay-qr.png"))))
	if other := scan(t, seeSVG(t, read(t, filepath.Join(dir, "ottpay-qr.svg")))); other != content {
		t.Errorf("the SVG says %q, the PNG %q", other, content)
	}
	order := gateway.Orders()[0]
	if want := gateway.URL + "/pay/" + merchantID + "/" + order.ID; content != want {
		t.Errorf("the code says %q, want %q", content, want)
	}
	if err := gateway.Merchant(merchantID).Pay(order.ID, ottpaytest.Payment{Silent: true}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "\npaid\n") {
		t.Errorf("the program does not say that it is paid:\n%s", out)
	}
}

// screen is a writer that tells when a word was written.
type screen struct {
	mu    sync.Mutex
	text  strings.Builder
	word  string
	shown chan struct{}
	told  bool
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if !s.told && strings.Contains(s.text.String(), s.word) {
		s.told = true
		close(s.shown)
	}
	return len(b), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func scan(t *testing.T, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatalf("a scanner does not read it: %v", err)
	}
	return result.GetText()
}

func seePNG(t *testing.T, b []byte) image.Image {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// seeSVG fills the rectangles of the path.
func seeSVG(t *testing.T, b []byte) image.Image {
	t.Helper()
	var svg struct {
		ViewBox string `xml:"viewBox,attr"`
		Path    struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(b, &svg); err != nil {
		t.Fatal(err)
	}
	var w, h int
	if _, err := fmt.Sscanf(svg.ViewBox, "0 0 %d %d", &w, &h); err != nil {
		t.Fatal(err)
	}
	picture := canvas(w, h)
	for run := range strings.SplitSeq(strings.TrimSuffix(svg.Path.D, "z"), "z") {
		var x, y, width, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%d", &x, &y, &width, &back); err != nil || back != width {
			t.Fatalf("run %q: %v", run, err)
		}
		for i := range width {
			module(picture, x+i, y)
		}
	}
	return picture
}

// seeTerminal reads half blocks between the colours.
func seeTerminal(t *testing.T, b []byte) image.Image {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	var rows [][]rune
	for _, line := range lines {
		_, line, ok := strings.Cut(line, "m")
		line, reset := strings.CutSuffix(line, "\x1b[0m")
		if !ok || !reset {
			t.Fatalf("a line leaves its colours behind: %q", line)
		}
		rows = append(rows, []rune(line))
	}
	picture := canvas(len(rows[0]), 2*len(rows))
	for y, row := range rows {
		for x, r := range row {
			if r == '█' || r == '▀' {
				module(picture, x, 2*y)
			}
			if r == '█' || r == '▄' {
				module(picture, x, 2*y+1)
			}
		}
	}
	return picture
}

func canvas(w, h int) *image.Gray {
	picture := image.NewGray(image.Rect(0, 0, 4*w, 4*h))
	for i := range picture.Pix {
		picture.Pix[i] = 0xff
	}
	return picture
}

// module paints one module, four pixels wide.
func module(picture *image.Gray, x, y int) {
	for i := range 16 {
		picture.SetGray(4*x+i%4, 4*y+i/4, color.Gray{})
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
