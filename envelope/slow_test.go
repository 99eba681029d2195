package envelope_test

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/envelope"
)

// This file is the slow and obvious version of the protocol, the oracle of the
// fuzz tests: encoding/json's tokens, maps, sorted copies. It shares no line
// with the package.

type (
	slowObject []slowMember // in document order
	slowMember struct {
		name  string
		value any
	}
	slowArray []any
)

var (
	escapedPair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	halfPair    = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
)

// slowParse reads one strict object.
func slowParse(b []byte) (slowObject, error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, errors.New("not JSON in UTF-8")
	}
	plain := strings.ReplaceAll(string(b), `\\`, "")
	if halfPair.MatchString(escapedPair.ReplaceAllString(plain, "")) {
		return nil, errors.New("half a surrogate pair")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := slowValue(dec, 0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(slowObject)
	if !ok {
		return nil, errors.New("not an object")
	}
	return o, nil
}

func slowValue(dec *json.Decoder, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if depth++; depth > 32 {
		return nil, errors.New("too deep")
	}
	object, array, seen := slowObject{}, slowArray{}, map[string]bool{}
	for dec.More() {
		var name string
		if delim == '{' {
			tok, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name = tok.(string)
			if seen[name] {
				return nil, errors.New("duplicate name")
			}
			seen[name] = true
		}
		v, err := slowValue(dec, depth)
		if err != nil {
			return nil, err
		}
		object, array = append(object, slowMember{name, v}), append(array, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if delim == '{' {
		return object, nil
	}
	return array, nil
}

func slowText(v any, form envelope.Form) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(form.String(), "raw") {
			return v.String(), nil
		}
		return slowDouble(f), nil
	case slowArray:
		items := []string{}
		for _, x := range v {
			s, err := slowText(x, form)
			if err != nil {
				return "", err
			}
			items = append(items, s)
		}
		return "[" + strings.Join(items, ", ") + "]", nil
	case slowObject:
		items := []string{}
		for _, m := range v {
			s, err := slowText(m.value, form)
			if err != nil {
				return "", err
			}
			items = append(items, m.name+"="+s)
		}
		return "{" + strings.Join(items, ", ") + "}", nil
	}
	return "", fmt.Errorf("a %T", v)
}

// slowDouble prints like Java's Double.toString, from the shortest digits d₁d₂…
// and the decimal exponent of d₁.
func slowDouble(f float64) string {
	text := strconv.FormatFloat(f, 'e', -1, 64)
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	mantissa, e, _ := strings.Cut(text, "e")
	digits := strings.Replace(mantissa, ".", "", 1)
	exp, err := strconv.Atoi(e)
	if err != nil {
		panic(err)
	}
	switch {
	case strings.Trim(digits, "0") == "":
		return sign + "0.0"
	case exp >= 7 || exp < -3:
		rest := digits[1:]
		if rest == "" {
			rest = "0"
		}
		return sign + digits[:1] + "." + rest + "E" + strconv.Itoa(exp)
	case exp < 0:
		return sign + "0." + strings.Repeat("0", -exp-1) + digits
	}
	for len(digits) < exp+2 {
		digits += "0"
	}
	return sign + digits[:exp+1] + "." + digits[exp+1:]
}

func slowDigest(plaintext []byte, form envelope.Form) (string, error) {
	o, err := slowParse(plaintext)
	if err != nil {
		return "", err
	}
	sort.Slice(o, func(i, j int) bool {
		return slices.Compare(utf16.Encode([]rune(o[i].name)), utf16.Encode([]rune(o[j].name))) < 0
	})
	var text strings.Builder
	for _, m := range o {
		if m.value == nil && strings.HasSuffix(form.String(), "null-empty") {
			continue
		}
		s, err := slowText(m.value, form)
		if err != nil {
			return "", err
		}
		text.WriteString(s)
	}
	return fmt.Sprintf("%X", md5.Sum([]byte(text.String()))), nil
}
