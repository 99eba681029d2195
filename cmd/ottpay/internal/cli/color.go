package cli

import "io"

// style is an ANSI sequence. A word or a sign always stands beside a colour.
type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint returns text in a style if the stream w takes colours.
func (a *app) paint(w io.Writer, s style, text string) string {
	if !a.colored(w) {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// colored decides by the flag, then by the environment, then by the stream.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return !a.json
	case "never":
		return false
	}
	set := func(name string) bool {
		v := a.getenv(name)
		return v != "" && v != "0"
	}
	switch {
	case a.json, a.getenv("NO_COLOR") != "":
		return false
	case set("FORCE_COLOR"), set("CLICOLOR_FORCE"):
		return true
	case a.getenv("TERM") == "dumb":
		return false
	}
	return w == a.Out && a.OutTerminal || w == a.Err && a.ErrTerminal
}
