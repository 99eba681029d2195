package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This file is the slow and obvious version of Parse and the oracle of the
// tests: encoding/json's tokens, maps, sorted copies. It shares no line with the
// package.

type slowMember struct{ name, value string }

var (
	escapedPair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	halfPair    = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)
)

// slowParse returns the members of one strict object in document order.
func slowParse(b []byte) ([]slowMember, error) {
	if err := slowValid(b, 0); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	var members []slowMember
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, slowMember{name.(string), string(value)})
	}
	return members, nil
}

// slowValid checks one strict value around which there are already depth
// levels.
func slowValid(b []byte, depth int) error {
	if len(b) > 1<<20 {
		return errors.New("too large")
	}
	if !utf8.Valid(b) || !json.Valid(b) {
		return errors.New("not JSON in UTF-8")
	}
	plain := strings.ReplaceAll(string(b), `\\`, "")
	if halfPair.MatchString(escapedPair.ReplaceAllString(plain, "")) {
		return errors.New("half a surrogate pair")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return slowWalk(dec, depth)
}

func slowWalk(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if number, ok := tok.(json.Number); ok {
		_, err := number.Float64()
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > 32 {
		return errors.New("too deep")
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if seen[name.(string)] {
				return errors.New("duplicate name")
			}
			seen[name.(string)] = true
		}
		if err := slowWalk(dec, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// slowOrder returns the places of the members in Java's order of their names.
func slowOrder(members []slowMember) []int {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool {
		a, b := members[order[i]].name, members[order[j]].name
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) < 0
	})
	return order
}

// slowTwins reports whether an unknown name differs from another in case only.
func slowTwins(members []slowMember, unknown func(string) bool) bool {
	for i, a := range members {
		for j, b := range members {
			if i != j && unknown(a.name) && strings.EqualFold(a.name, b.name) {
				return true
			}
		}
	}
	return false
}
