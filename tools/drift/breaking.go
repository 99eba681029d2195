package drift

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Change is a difference between two versions of the document by which a program
// that uses the kit may stop compiling or working.
type Change struct {
	// Place is where in the document: an action, a schema, a member, a code.
	Place string
	// What says what changed and, if it is not plain, why that breaks.
	What string
	// Line is the line in the new document, from 1; 0 if it is gone from there.
	Line int
}

func (c Change) String() string {
	if c.Line > 0 {
		return fmt.Sprintf("%s (line %d): %s", c.Place, c.Line, c.What)
	}
	return c.Place + ": " + c.What
}

// Version returns the document's own version, info.version.
func (d *Document) Version() string { return text(value(d.root, "info", "version")) }

// AllowsBreaking reports whether next may break what stands on d: the first
// number of its version is greater.
func (d *Document) AllowsBreaking(next *Document) bool {
	major := func(version string) int {
		first, _, _ := strings.Cut(version, ".")
		n, err := strconv.Atoi(strings.TrimPrefix(first, "v"))
		if err != nil {
			return 0
		}
		return n
	}
	return major(next.Version()) > major(d.Version())
}

// Breaking lists the changes from d to next that break. The overlays are the
// contents of go.overlay.yaml beside each; they name what Go sees.
func (d *Document) Breaking(next *Document, overlay, nextOverlay []byte) ([]Change, error) {
	b := &breaker{old: d, now: next}
	was, err := readOverlay(overlay)
	if err != nil {
		return nil, fmt.Errorf("the overlay of %s: %w", d.Name, err)
	}
	is, err := readOverlay(nextOverlay)
	if err != nil {
		return nil, fmt.Errorf("the overlay of %s: %w", next.Name, err)
	}
	b.actions()
	b.schemas()
	b.codes()
	b.statuses()
	b.forbidden()
	b.overlay(was, is)
	return b.out, nil
}

type breaker struct {
	old, now *Document
	out      []Change
}

func (b *breaker) add(place string, line int, format string, args ...any) {
	b.out = append(b.out, Change{place, fmt.Sprintf(format, args...), line})
}

func (b *breaker) actions() {
	for _, was := range b.old.actions {
		is := b.now.action(was.name)
		if is == nil {
			b.add(was.name, 0, "the action is gone, and with it the client's method")
			continue
		}
		for _, key := range []string{"kind", "effect", "order"} {
			if x, y := text(value(was.node, key)), text(value(is.node, key)); x != y {
				b.add(was.name, is.line, "%s was %s and is %s", key, x, y)
			}
		}
		for side, s := range map[string][2]*schema{"request": {was.request, is.request}, "response": {was.response, is.response}} {
			if s[0] != nil && s[1] != nil && s[0].name != s[1].name {
				b.add(was.name, is.line, "its %s was %s and is %s: the client's method has another type", side, s[0].name, s[1].name)
			}
		}
	}
}

func (b *breaker) schemas() {
	for _, name := range b.old.order {
		was, is := b.old.schemas[name], b.now.schemas[name]
		if is == nil {
			b.add(name, 0, "the schema is gone, and with it the type")
			continue
		}
		for _, m := range was.members {
			b.member(name+"."+m.name, was, is, m)
		}
		for _, m := range is.members {
			if was.reads(m.name) == nil && m.required {
				b.add(name+"."+m.name, m.line, "a new member is required")
			}
		}
		for _, one := range was.oneOf {
			if len(is.oneOf) > 0 && !slices.Contains(is.oneOf, one) {
				b.add(name, is.line, "%s alone is not enough any more", one)
			}
		}
		if len(is.oneOf) > 0 && len(was.oneOf) == 0 {
			b.add(name, is.line, "one of %s must be there now", strings.Join(is.oneOf, ", "))
		}
	}
}

// member compares one member. What makes a request harder to send or an answer
// harder to read breaks, and so does another Go type.
func (b *breaker) member(place string, was, in *schema, m *member) {
	is := in.named(m.name)
	if is == nil {
		b.add(place, 0, "the member is gone, and with it the field")
		return
	}
	add := func(format string, args ...any) { b.add(place, is.line, format, args...) }
	switch {
	case !m.required && is.required:
		add("is required now")
	case m.required && !is.required && !was.request:
		add("may be absent now, so its readers must look")
	}
	if x, y := m.goType(), is.goType(); x != y {
		add("the field was a %s and is a %s", x, y)
	}
	for _, a := range m.aliases {
		if in.reads(a) != is {
			add("the spelling %s is not read any more", a)
		}
	}
	for _, t := range m.types {
		if is.types != nil && !slices.Contains(is.types, t) && !(t == "integer" && slices.Contains(is.types, "number")) {
			add("may not be a %s any more", t)
		}
	}
	if m.nullable && !is.nullable && !is.required {
		add("may not be null any more")
	}
	if n := is.maxLength; n > 0 && (m.maxLength == 0 || n < m.maxLength) {
		add("at most %d characters long, was %s", n, orElse(bound(m.maxLength), "unbounded"))
	}
	if is.minLength > max(m.minLength, 1) || is.minLength == 1 && m.minLength == 0 && m.required == is.required {
		add("at least %d characters long, was %d", is.minLength, m.minLength)
	}
	if is.pattern != nil && (m.pattern == nil || m.pattern.String() != is.pattern.String()) {
		add("has another pattern; whether it admits less cannot be told")
	}
	if len(is.enum) > 0 && len(m.enum) == 0 {
		add("admits only %s now", strings.Join(is.enum, ", "))
	}
	for _, v := range m.enum {
		if len(is.enum) > 0 && !slices.Contains(is.enum, v) {
			add("does not admit %s any more", v)
		}
	}
	if narrower(m.min, is.min, false) || narrower(m.max, is.max, true) {
		add("has a narrower range")
	}
}

func bound(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func narrower(was, is *float64, upper bool) bool {
	switch {
	case is == nil:
		return false
	case was == nil:
		return true
	case upper:
		return *is < *was
	}
	return *is > *was
}

// goType is the kind of the field that the generator makes, but for what the
// overlay says.
func (m *member) goType() string {
	switch {
	case m.kind == "amount" && m.nullable && !m.required:
		return "pointer to an amount"
	case m.kind == "" || m.kind == "string" || m.kind == "text":
		return "text"
	}
	return m.kind
}

func (b *breaker) codes() {
	class := func(d *Document, name string) string { return text(value(d.root, "x-ottpay-codes", name, "class")) }
	for _, c := range b.old.codes {
		is := slices.IndexFunc(b.now.codes, func(n code) bool { return n.name == c.name })
		switch {
		case is < 0:
			b.add(c.name, 0, "the code is gone, and with it the constant")
		case class(b.old, c.name) != class(b.now, c.name):
			b.add(c.name, b.now.codes[is].line, "the class was %s and is %s", class(b.old, c.name), class(b.now, c.name))
		}
	}
}

func (b *breaker) statuses() {
	pairs(value(b.old.root, "x-ottpay-statuses"), func(k, was *yaml.Node) {
		at, is := child(value(b.now.root, "x-ottpay-statuses"), k.Value)
		if at == nil {
			b.add(k.Value, 0, "the status is gone, and with it the constant")
			return
		}
		for _, key := range []string{"paid", "held", "final", "same"} {
			if x, y := text(value(was, key)), text(value(is, key)); x != y {
				b.add(k.Value, at.Line, "%s was %s and is %s", key, orElse(x, "not said"), orElse(y, "not said"))
			}
		}
	})
}

func (b *breaker) forbidden() {
	was := texts(value(b.old.root, "x-ottpay-forbidden"))
	for _, name := range texts(value(b.now.root, "x-ottpay-forbidden")) {
		if !slices.Contains(was, name) {
			b.add(name, 0, "a request may not have a member of this name any more")
		}
	}
}

// overlayTarget is the path of an action, a schema or a member.
var overlayTarget = regexp.MustCompile(`^\$(?:\["x-ottpay-actions"\]\.([A-Z0-9_]+)|\.components\.schemas\.([A-Za-z0-9_]+)(?:\.properties\.([A-Za-z0-9_]+))?)$`)

// readOverlay returns what an overlay says, by target.
func readOverlay(source []byte) (map[string]map[string]string, error) {
	var in struct {
		Actions []struct {
			Target string            `yaml:"target"`
			Update map[string]string `yaml:"update"`
		} `yaml:"actions"`
	}
	if err := yaml.Unmarshal(source, &in); err != nil {
		return nil, err
	}
	out := make(map[string]map[string]string)
	for _, a := range in.Actions {
		if out[a.Target] == nil {
			out[a.Target] = make(map[string]string)
		}
		for k, v := range a.Update {
			out[a.Target][k] = v
		}
	}
	return out, nil
}

// overlay compares the names and types that Go sees, of what both documents
// have.
func (b *breaker) overlay(was, is map[string]map[string]string) {
	var targets []string
	for t := range was {
		targets = append(targets, t)
	}
	for t := range is {
		if was[t] == nil {
			targets = append(targets, t)
		}
	}
	slices.Sort(targets)
	for _, t := range targets {
		place, line, both := b.both(t)
		if !both {
			continue
		}
		for _, key := range []string{"x-go-name", "x-go-type"} {
			if x, y := was[t][key], is[t][key]; x != y {
				b.add(place, line, "the %s in Go was %s and is %s", strings.TrimPrefix(key, "x-go-"), orElse(x, "the usual one"), orElse(y, "the usual one"))
			}
		}
	}
}

// both reports whether a target stands in both documents.
func (b *breaker) both(target string) (place string, line int, ok bool) {
	m := overlayTarget.FindStringSubmatch(target)
	switch {
	case m == nil:
		return target, 0, true // not understood, so it is compared as text
	case m[1] != "":
		is := b.now.action(m[1])
		return m[1], lineOf(is), is != nil && b.old.action(m[1]) != nil
	case m[3] != "":
		was, is := b.old.schemas[m[2]].named(m[3]), b.now.schemas[m[2]].named(m[3])
		if was == nil || is == nil {
			return target, 0, false
		}
		return m[2] + "." + m[3], is.line, true
	}
	at, _ := child(value(b.now.root, "components", "schemas"), m[2])
	if at == nil || value(b.old.root, "components", "schemas", m[2]) == nil {
		return m[2], 0, false
	}
	return m[2], at.Line, true
}

func lineOf(a *action) int {
	if a == nil {
		return 0
	}
	return a.line
}
