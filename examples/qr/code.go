package main

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/boombuler/barcode/qr"
)

const (
	quiet = 4 // modules of margin around a code, which scanners want
	scale = 8 // pixels of the PNG for a module
)

// code is a QR code with its quiet zone: dark modules in rows of equal length.
type code [][]bool

// encode makes a code of the text as it stands: a wallet compares it to the
// letter. Level M survives a scratched screen.
func encode(content string) (code, error) {
	made, err := qr.Encode(content, qr.M, qr.Auto)
	if err != nil {
		return nil, errors.New("qr: the text does not fit a code") // the library's error quotes it
	}
	b := made.Bounds()
	c := make(code, b.Dy()+2*quiet)
	for y := range c {
		c[y] = make([]bool, b.Dx()+2*quiet)
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			gray, _ := color.GrayModel.Convert(made.At(b.Min.X+x, b.Min.Y+y)).(color.Gray)
			c[y+quiet][x+quiet] = gray.Y < 128
		}
	}
	return c, nil
}

func (c code) dark(x, y int) bool { return y < len(c) && c[y][x] }

// writeTerminal draws two rows of modules in a line of text, black on white
// whatever the terminal's colours are.
func (c code) writeTerminal(out io.Writer) error {
	w := bufio.NewWriter(out)
	for y := 0; y < len(c); y += 2 {
		w.WriteString("\x1b[38;5;16;48;5;231m")
		for x := range c[y] {
			switch top, bottom := c.dark(x, y), c.dark(x, y+1); {
			case top && bottom:
				w.WriteRune('█')
			case top:
				w.WriteRune('▀')
			case bottom:
				w.WriteRune('▄')
			default:
				w.WriteRune(' ')
			}
		}
		w.WriteString("\x1b[0m\n")
	}
	return w.Flush()
}

// writePNG draws the code in black and white.
func (c code) writePNG(out io.Writer) error {
	picture := image.NewPaletted(image.Rect(0, 0, scale*len(c[0]), scale*len(c)), color.Palette{color.White, color.Black})
	for y := range picture.Rect.Dy() {
		for x := range picture.Rect.Dx() {
			if c.dark(x/scale, y/scale) {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	return png.Encode(out, picture)
}

// writeSVG draws each run of dark modules as a rectangle of one path. A module
// is a unit: the picture has no size of its own.
func (c code) writeSVG(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, len(c[0]), len(c))
	w.WriteString(`<rect width="100%" height="100%" fill="#fff"/><path fill="#000" d="`)
	for y, row := range c {
		for x := 0; x < len(row); x++ {
			from := x
			for x < len(row) && row[x] {
				x++
			}
			if x > from {
				fmt.Fprintf(w, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
			}
		}
	}
	w.WriteString(`"/></svg>` + "\n")
	return w.Flush()
}
