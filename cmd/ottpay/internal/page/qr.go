package page

import (
	"errors"
	"fmt"
	"html/template"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the margin around a code, in modules. Scanners want four.
const quiet = 4

// qrCode draws a QR code of a text as SVG. A module is a unit; the page gives the
// drawing its size. Level M survives a scratched screen.
func qrCode(content string) (template.HTML, error) {
	code, err := qr.Encode(content, qr.M, qr.Auto)
	if err != nil {
		return "", errors.New("page: the text does not fit a QR code") // the library's error quotes it
	}
	b := code.Bounds()
	dark := func(x, y int) bool {
		gray, _ := color.GrayModel.Convert(code.At(b.Min.X+x, b.Min.Y+y)).(color.Gray)
		return gray.Y < 128
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="qr" role="img" aria-label="QR code" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#000" d="`, b.Dx()+2*quiet, b.Dy()+2*quiet)
	for y := range b.Dy() {
		for x := 0; x < b.Dx(); x++ {
			from := x
			for x < b.Dx() && dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&s, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	s.WriteString(`"/></svg>`)
	return template.HTML(s.String()), nil // numbers alone; the text itself is not in it
}
