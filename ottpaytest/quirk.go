package ottpaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ottpaykit/ottpay/envelope"
)

// Quirk is a set of the vendor's peculiarities.
type Quirk uint

// The quirks.
const (
	// QuirkNumbers: amounts in answers are JSON numbers, though the pages say
	// String, so that the digest is one over Java doubles.
	QuirkNumbers Quirk = 1 << iota
	// QuirkEscapes: = < > & ' are written as \u003d and so on, as Gson does.
	QuirkEscapes
	// QuirkBlanks: the Base64 of data has a blank after every 60 characters.
	QuirkBlanks
	// QuirkBareFailures: a failure comes without data and md5.
	QuirkBareFailures
)

// AllQuirks has every quirk.
const AllQuirks = QuirkNumbers | QuirkEscapes | QuirkBlanks | QuirkBareFailures

// quirkNames are the words for the quirks.
var quirkNames = [...]struct {
	quirk Quirk
	name  string
}{{QuirkNumbers, "numbers"}, {QuirkEscapes, "escapes"}, {QuirkBlanks, "blanks"}, {QuirkBareFailures, "bare-failures"}}

// Names returns the words for the quirks of the set.
func (q Quirk) Names() []string {
	names := []string{}
	for _, n := range quirkNames {
		if q.has(n.quirk) {
			names = append(names, n.name)
		}
	}
	return names
}

// ParseQuirks reads all, none, or words of Names with commas between them.
func ParseQuirks(text string) (Quirk, error) {
	var q Quirk
	for word := range strings.SplitSeq(text, ",") {
		switch word = strings.TrimSpace(word); word {
		case "all":
			q = AllQuirks
			continue
		case "none", "":
			continue
		}
		found := false
		for _, n := range quirkNames {
			if n.name == word {
				q, found = q|n.quirk, true
			}
		}
		if !found {
			return 0, fmt.Errorf("ottpaytest: there is no quirk %q; there are %s", word, strings.Join(AllQuirks.Names(), ", "))
		}
	}
	return q, nil
}

func (q Quirk) has(one Quirk) bool { return q&one != 0 }

// escape writes JSON as Gson does. None of the characters stands outside of a
// string.
func (q Quirk) escape(object []byte) []byte {
	if !q.has(QuirkEscapes) {
		return object
	}
	return []byte(gson.Replace(string(object)))
}

var gson = strings.NewReplacer("=", `\u003d`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)

// wrap spells Base64 as the vendor's encoder does: with a blank after every 60
// characters, the last included.
func (q Quirk) wrap(s envelope.Sealed) envelope.Sealed {
	if !q.has(QuirkBlanks) {
		return s
	}
	var b strings.Builder
	for data := s.Data; data != ""; {
		n := min(60, len(data))
		b.WriteString(data[:n])
		if n == 60 {
			b.WriteByte(' ')
		}
		data = data[n:]
	}
	s.Data = b.String()
	return s
}

// pair is one member of an object that is written.
type pair struct {
	name  string
	value json.RawMessage
}

// object writes members in their order.
func object(members []pair) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quoted writes a string as JSON, with no more escapes than it needs.
func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string into a buffer cannot fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
