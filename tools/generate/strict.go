package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// strict reports everything in the document that the generator would pass over,
// each fault with its place and its cure. file is where the lines are counted.
func strict(file string, doc *yaml.Node) error {
	s := &scrutiny{file: file}
	root := doc.Content[0]
	s.keys(root, "the document", "openapi", "info", "servers", "paths", "webhooks", "components", "x-ottpay-actions", "x-ottpay-codes", "x-ottpay-statuses", "x-ottpay-forbidden", "x-ottpay-pages", "x-ottpay-decision")
	s.entries(child(root, "x-ottpay-actions"), "action", "summary", "version", "kind", "pages", "request", "response", "order", "effect", "terminal", "unknown", "x-go-name", "x-ottpay-decision")
	s.entries(child(root, "x-ottpay-codes"), "code", "class", "message", "x-ottpay-decision")
	s.entries(child(root, "x-ottpay-statuses"), "status", "meaning", "paid", "held", "final", "same")
	components := child(root, "components")
	s.keys(components, "components", "schemas")
	schemas := child(components, "schemas")
	for name, schema := range mapping(schemas) {
		switch {
		case child(schema, "properties") != nil || scalarText(child(schema, "type")) == "object":
			s.schema(name, schema)
		case name == "RequestName":
			s.keys(schema, "schema "+name, "type", "not", "description")
		default:
			s.value(name, schema)
		}
	}
	return errors.Join(s.faults...)
}

// scrutiny collects the faults of a document.
type scrutiny struct {
	file   string
	faults []error
}

func (s *scrutiny) fault(at *yaml.Node, format string, args ...any) {
	place := s.file
	if at != nil && at.Line > 0 {
		place += ":" + strconv.Itoa(at.Line)
	}
	s.faults = append(s.faults, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
}

// mapping walks the keys and values of a mapping.
func mapping(node *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; node != nil && node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

// keyNode returns the key of a mapping, for its line.
func keyNode(node *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i]
		}
	}
	return node
}

// keys refuses the keys of a mapping that are not known there.
func (s *scrutiny) keys(node *yaml.Node, where string, known ...string) {
	if node == nil {
		return
	}
	if node.Kind != yaml.MappingNode {
		s.fault(node, "%s: must be a mapping of %s", where, strings.Join(known, ", "))
		return
	}
	for key := range mapping(node) {
		if slices.Contains(known, key) {
			continue
		}
		cure := "correct its spelling or leave it out; known here: " + strings.Join(known, ", ")
		switch key {
		case "format":
			cure = "leave it out; say it with a pattern and an x-ottpay-rule"
		case "const":
			cure = "write enum with one value"
		case "nullable":
			cure = `add "null" to the type`
		}
		s.fault(keyNode(node, key), "%s: the generator does not know %s: %s", where, key, cure)
	}
}

// entries checks the keys of each entry of a mapping.
func (s *scrutiny) entries(node *yaml.Node, what string, known ...string) {
	if node != nil && node.Kind != yaml.MappingNode {
		s.fault(node, "x-ottpay-%ss: must be a mapping", what)
	}
	for name, entry := range mapping(node) {
		s.keys(entry, what+" "+name, known...)
		for _, key := range []string{"summary", "message", "meaning", "version", "kind", "class"} {
			if v := child(entry, key); v != nil {
				s.line(v, what+" "+name+": "+key)
			}
		}
	}
}

// line refuses a value that is not a text of one line: it goes into comments
// and tables.
func (s *scrutiny) line(v *yaml.Node, where string) {
	switch {
	case v.Kind != yaml.ScalarNode || v.Tag != "!!str":
		s.fault(v, "%s: must be a text: put it in quotation marks", where)
	case strings.TrimSpace(v.Value) != v.Value || strings.ContainsFunc(v.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		s.fault(v, "%s: must be one line, without control characters and without blanks around it", where)
	}
}

// schema checks an object.
func (s *scrutiny) schema(name string, schema *yaml.Node) {
	where := "schema " + name
	s.keys(schema, where, "description", "type", "required", "properties", "propertyNames", "anyOf", "example", "x-ottpay-layer", "x-ottpay-pages", "x-ottpay-decision")
	if layer := child(schema, "x-ottpay-layer"); layer != nil {
		if layer.Value != "envelope" {
			s.fault(layer, "%s: x-ottpay-layer: envelope is the only layer; leave it out for a schema that is to be generated", where)
		}
		return // written by hand
	}
	if t := scalarText(child(schema, "type")); t != "object" {
		s.fault(schema, "%s: has properties, so it needs type: object", where)
	}
	if d := child(schema, "description"); d != nil {
		s.line(d, where+": description")
	}
	properties := child(schema, "properties")
	if properties == nil || properties.Kind != yaml.MappingNode || len(properties.Content) == 0 {
		s.fault(schema, "%s: has no properties", where)
	}
	for member, value := range mapping(properties) {
		s.name(keyNode(properties, member), name+"."+member, member)
		s.value(name+"."+member, value)
	}
	s.lists(where, schema, properties)
}

// lists checks the lists of members of an object: required, and its example.
func (s *scrutiny) lists(where string, schema, properties *yaml.Node) {
	var seen []string
	if required := child(schema, "required"); required != nil {
		for _, r := range required.Content {
			switch {
			case child(properties, r.Value) == nil:
				s.fault(r, "%s: requires %s, which is not among its properties: add it there or leave it out", where, r.Value)
			case slices.Contains(seen, r.Value):
				s.fault(r, "%s: requires %s twice: remove one", where, r.Value)
			}
			seen = append(seen, r.Value)
		}
	}
	for member := range mapping(child(schema, "example")) {
		if child(properties, member) == nil {
			s.fault(keyNode(child(schema, "example"), member), "%s: its example has %s, which is not among its properties: add it there or leave it out", where, member)
		}
	}
}

// name checks the spelling of a member or an alias: it goes into struct tags.
func (s *scrutiny) name(at *yaml.Node, where, name string) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("\"'`\\,|:", r) }) {
		s.fault(at, "%s: a member's name must not be empty nor hold blanks, control characters, quotation marks, backslashes, commas, colons or bars", where)
	}
}

// value checks a member, or a value that members share.
func (s *scrutiny) value(where string, v *yaml.Node) {
	s.keys(v, where, "$ref", "description", "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minProperties",
		"x-go-name", "x-go-type", "x-ottpay-aliases", "x-ottpay-decides", "x-ottpay-decision", "x-ottpay-echo", "x-ottpay-kind", "x-ottpay-length-rule",
		"x-ottpay-respell", "x-ottpay-role", "x-ottpay-rule", "x-ottpay-schema", "x-ottpay-sensitive", "x-ottpay-unknown", "x-ottpay-usual-length", "x-ottpay-usual-wide")
	for key, extension := range mapping(v) {
		at := where + ": " + key
		switch key {
		case "x-ottpay-decides", "x-ottpay-respell", "x-ottpay-sensitive", "x-ottpay-unknown":
			if extension.Tag != "!!bool" {
				s.fault(extension, "%s: must be true or false", at)
			}
		case "description", "x-go-name", "x-go-type", "x-ottpay-echo", "x-ottpay-kind", "x-ottpay-length-rule", "x-ottpay-role", "x-ottpay-rule", "x-ottpay-schema", "x-ottpay-usual-wide":
			s.line(extension, at)
		case "minLength", "maxLength", "minimum", "maximum", "minProperties":
			s.count(at, key, extension)
		case "pattern":
			if _, err := regexp.Compile(extension.Value); err != nil {
				s.fault(extension, "%s: not a regular expression of Go's package regexp: %v", at, err)
			}
			if extension.Value == "" {
				s.fault(extension, "%s: is empty: leave it out", at)
			}
		case "x-ottpay-aliases":
			s.aliases(where, extension)
		case "type":
			s.types(at, extension)
		case "enum":
			s.enum(at, extension)
		}
	}
}

func (s *scrutiny) count(where, key string, v *yaml.Node) {
	n, err := strconv.ParseInt(v.Value, 10, 64)
	switch {
	case v.Tag != "!!int" || err != nil || n < 0:
		s.fault(v, "%s: must be a whole number that is not negative", where)
	case key == "maxLength" && n == 0:
		s.fault(v, "%s: 0 admits the empty text only: leave the member out, or maxLength", where)
	}
}

func (s *scrutiny) aliases(where string, list *yaml.Node) {
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		s.fault(list, "%s: x-ottpay-aliases: must be a list of names", where)
	}
	for _, alias := range list.Content {
		s.name(alias, where+": x-ottpay-aliases", alias.Value)
		if alias.Tag != "!!str" {
			s.fault(alias, "%s: x-ottpay-aliases: %s must be a text: put it in quotation marks", where, alias.Value)
		}
	}
}

// types checks that the type is one, or a list of some.
func (s *scrutiny) types(where string, v *yaml.Node) {
	list := v.Content
	if v.Kind == yaml.ScalarNode {
		list = []*yaml.Node{v}
	}
	var seen []string
	for _, t := range list {
		if !slices.Contains([]string{"string", "integer", "number", "null", "object"}, t.Value) || t.Tag != "!!str" {
			s.fault(t, `%s: %s is not one of string, number, integer, object and "null", in quotation marks`, where, t.Value)
		} else if slices.Contains(seen, t.Value) {
			s.fault(t, "%s: %s stands twice: remove one", where, t.Value)
		}
		seen = append(seen, t.Value)
	}
}

// enum checks enumerated values, which go into struct tags.
func (s *scrutiny) enum(where string, v *yaml.Node) {
	if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
		s.fault(v, "%s: must be a list of values", where)
	}
	var seen []string
	for _, value := range v.Content {
		switch {
		case value.Tag != "!!str":
			s.fault(value, "%s: %s must be a text: put it in quotation marks", where, value.Value)
		case !regexp.MustCompile(`^[0-9A-Za-z_.-]+$`).MatchString(value.Value):
			s.fault(value, "%s: %q must be a word of letters, digits and _ . -, as struct tags have it", where, value.Value)
		case slices.Contains(seen, value.Value):
			s.fault(value, "%s: %s stands twice: remove one", where, value.Value)
		}
		seen = append(seen, value.Value)
	}
}

// scalarText returns a scalar's text, or "".
func scalarText(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

// unique refuses a key that stands twice in a mapping, anywhere in the document:
// the second one would silently replace the first.
func unique(file string, node *yaml.Node) error {
	var faults []error
	var walk func(node *yaml.Node, path string)
	walk = func(node *yaml.Node, path string) {
		first := make(map[string]int)
		for i, child := range node.Content {
			at := path
			if node.Kind == yaml.MappingNode {
				key := node.Content[i&^1]
				at = strings.TrimPrefix(path+"."+key.Value, ".")
				if line, twice := first[key.Value]; i%2 == 0 && twice && key.Value != "<<" {
					faults = append(faults, fmt.Errorf("%s:%d: %s stands twice, the first time in line %d: remove one or rename it", file, key.Line, at, line))
				}
				if i%2 == 0 {
					first[key.Value] = key.Line
					continue
				}
			}
			walk(child, at)
		}
	}
	walk(node, "")
	return errors.Join(faults...)
}
