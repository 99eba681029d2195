package explain

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

var curlStart = regexp.MustCompile(`^(\$\s+|#\s+|>\s+)?(\S*/)?curl(\.exe)?\s`)

// curl takes the body out of a curl command. The command is no mistake unless
// its body is not in it.
func (r *run) curl(b []byte) ([]byte, bool) {
	text := bytes.TrimSpace(b)
	if !curlStart.Match(text) || !utf8.Valid(text) {
		return nil, false
	}
	m := mistake{
		step: StepTransport, codes: []Code{"transport-curl"}, at: offset("body", 0),
		fix: "use --data-binary with the JSON in single quotes, or --data-binary @FILE and explain that file",
	}
	words, ok := shellWords(string(text))
	if !ok {
		m.why = "a quote of the curl command is not closed: the shell would cut or change the body"
		r.fail(m)
		r.stop = true
		return nil, false
	}
	var bodies []string
	form, jsonType := false, false
	for i := 1; i < len(words); i++ {
		name, v := words[i], ""
		next := func() string {
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch {
		case strings.HasPrefix(name, "--"):
			var glued bool
			if name, v, glued = strings.Cut(name, "="); !glued && curlTakesValue(name) {
				v = next()
			}
		case strings.HasPrefix(name, "-") && len(name) > 1:
			// -d, -dVALUE, -sd VALUE: the letters up to one that takes a value.
			letters := name[1:]
			for j, c := range letters {
				if strings.ContainsRune("dHXFuAboeTxmKECDryzYwU", c) {
					name, v = "-"+string(c), letters[j+1:]
					if v == "" {
						v = next()
					}
					break
				}
			}
		default:
			continue
		}
		switch name {
		case "-d", "--data", "--data-ascii", "--data-binary", "--data-raw", "--json":
			jsonType = jsonType || name == "--json"
			if strings.HasPrefix(v, "@") && name != "--data-raw" {
				m.why = "the curl command reads its body from a file, and the body is not here"
				m.fix = "ottpay explain FILE, with the file that the command names"
				r.fail(m)
				r.stop = true
				return nil, false
			}
			bodies = append(bodies, v)
		case "--data-urlencode":
			form = true
			bodies = append(bodies, strings.TrimPrefix(v, "="))
		case "-F", "--form", "--form-string":
			form = true
			bodies = append(bodies, strings.TrimPrefix(v, "="))
		case "-H", "--header":
			header, value, _ := strings.Cut(v, ":")
			if strings.EqualFold(strings.TrimSpace(header), "Content-Type") && strings.Contains(strings.ToLower(value), "json") {
				jsonType = true
			}
		}
	}
	if len(bodies) == 0 {
		m.why = "the curl command sends no body"
		r.fail(m)
		r.stop = true
		return nil, false
	}
	if form {
		m.codes = []Code{"transport-form"}
		m.why = "the curl command sends a form (--form or --data-urlencode)"
		r.fail(m)
	} else if !jsonType {
		r.note("the curl command does not set Content-Type: application/json, so that curl calls the body a form; some receivers then read it as one")
	}
	body := strings.Join(bodies, "&")
	if form && !strings.HasPrefix(strings.TrimSpace(body), "{") {
		if made, ok := formFields(body); ok {
			return made, true
		}
	}
	return []byte(body), true
}

func curlTakesValue(name string) bool {
	switch name {
	case "--data", "--data-ascii", "--data-binary", "--data-raw", "--data-urlencode", "--json", "--header", "--request", "--form",
		"--form-string", "--url", "--user", "--user-agent", "--cookie", "--output", "--referer", "--proxy", "--max-time",
		"--connect-timeout", "--cacert", "--cert", "--key", "--resolve", "--retry", "--write-out":
		return true
	}
	return false
}

// shellWords splits a command as a POSIX shell would, without expanding
// anything. A command that was copied for cmd.exe has its carets taken off.
func shellWords(s string) (words []string, ok bool) {
	if strings.Contains(s, `^"`) {
		s = strings.NewReplacer("^\r\n", " ", "^\n", " ", `^\^"`, `\"`, `^"`, `"`, "^^", "^").Replace(s)
	}
	var word strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '$' && i+1 < len(s) && s[i+1] == '\'':
			in = true
			ansi := c == '$'
			if ansi {
				i++
			}
			for i++; ; i++ {
				if i >= len(s) {
					return nil, false
				}
				if s[i] == '\'' {
					break
				}
				if ansi && s[i] == '\\' && i+1 < len(s) {
					i++
					word.WriteString(ansiEscape(s, &i))
					continue
				}
				word.WriteByte(s[i])
			}
		case c == '"':
			in = true
			for i++; ; i++ {
				if i >= len(s) {
					return nil, false
				}
				if s[i] == '"' {
					break
				}
				if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\\\"$`\n", s[i+1]) >= 0 {
					i++
					if s[i] == '\n' {
						continue
					}
				}
				word.WriteByte(s[i])
			}
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			if s[i] != '\n' {
				in = true
				word.WriteByte(s[i])
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			in = true
			word.WriteByte(c)
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words, true
}

// ansiEscape reads the escape of $'…' whose letter is at *i.
func ansiEscape(s string, i *int) string {
	switch c := s[*i]; c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'r':
		return "\r"
	case 'u', 'x':
		digits := 4
		if c == 'x' {
			digits = 2
		}
		var r rune
		n := 0
		for n < digits && *i+1 < len(s) && hexDigit(s[*i+1]) >= 0 {
			*i++
			n++
			r = r<<4 | rune(hexDigit(s[*i]))
		}
		if c == 'x' {
			return string([]byte{byte(r)})
		}
		return string(r)
	default:
		return string(c)
	}
}
