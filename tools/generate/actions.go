package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

func (b *builder) actions() {
	var all map[string]struct {
		Summary, Version, Kind, Request, Response, Order, Effect string
		Terminal                                                 bool
		Unknown, Pages                                           []string
		Decision                                                 any    `json:"x-ottpay-decision"`
		GoName                                                   string `json:"x-go-name"`
	}
	b.decode("x-ottpay-actions", b.doc.Extensions["x-ottpay-actions"], &all)
	if len(all) == 0 {
		b.fault("x-ottpay-actions: none")
	}
	used := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		in := all[name]
		a := &action{
			Name: name, GoName: name, Method: in.GoName, Summary: in.Summary, Version: in.Version, Kind: in.Kind,
			Effect: in.Effect, Terminal: in.Terminal, Unknown: in.Unknown,
		}
		b.Actions = append(b.Actions, a)
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(name) {
			b.fault("action %s: a name is of capitals, digits and _", name)
		}
		if a.Method == "" {
			a.Method = goName(strings.ToLower(name))
		}
		if a.Pages = b.pages("action "+name+": pages", any(in.Pages)); len(a.Pages) == 0 {
			b.fault("action %s: no pages: the addresses at which the vendor describes it", name)
		}
		if in.Decision != nil {
			a.Decisions = b.decisions("action "+name, "", map[string]any{"x-ottpay-decision": in.Decision})
		}
		if a.Summary == "" {
			b.fault("action %s: no summary", name)
		}
		if !regexp.MustCompile(`^[0-9]+\.[0-9]+$`).MatchString(a.Version) {
			b.fault("action %s: no version, such as \"1.0\" in quotation marks", name)
		}
		if a.Kind != "query" && a.Kind != "effect" {
			b.fault("action %s: kind must say query or effect", name)
		}
		if !slices.Contains(effects, a.Effect) {
			b.fault("action %s: effect must be one of %v", name, effects)
		}
		if strings.HasPrefix(a.Effect, "query-") && a.Kind == "effect" || !strings.HasPrefix(a.Effect, "query-") && a.Effect != "none" && a.Kind == "query" {
			b.fault("action %s: kind %s does not go with effect %s", name, a.Kind, a.Effect)
		}
		if a.Request = b.schemaOf(name, "request", in.Request); a.Request != nil {
			a.Request.Request = true
			a.Request.pagesOf(a)
			b.orderOf(a, in.Order)
		}
		if a.Response = b.schemaOf(name, "response", in.Response); a.Response != nil {
			a.Response.Response = true
			a.Response.pagesOf(a)
			b.echoes(a)
		}
		for _, s := range []string{in.Request, in.Response} {
			if other, ok := used[s]; ok && s != "" && s != in.Response {
				b.fault("action %s: schema %s is that of %s already: an action has its own request", name, s, other)
			}
			used[s] = name
		}
	}
	b.sides()
	for _, s := range b.Schemas {
		if len(s.Pages) == 0 {
			b.fault("schema %s: x-ottpay-pages: it is no action's request or response, so the vendor's pages must be named", s.Name)
		}
	}
}

// pagesOf gives a schema the pages of its action, unless it names its own.
func (s *schema) pagesOf(a *action) {
	if len(s.Pages) == 0 {
		s.Pages = a.Pages
	}
}

func (b *builder) schemaOf(action, side, name string) *schema {
	for _, s := range b.Schemas {
		if s.Name == name {
			return s
		}
	}
	if name == "" {
		b.fault("action %s: no %s schema", action, side)
	} else {
		b.fault("action %s: there is no schema %s", action, name)
	}
	return nil
}

// orderOf finds the request member that holds the order's id. It must be named,
// or be said to be none.
func (b *builder) orderOf(a *action, name string) {
	withRole := a.Request.WithRole("order-id")
	switch {
	case name == "none":
		if withRole != nil {
			b.fault("action %s: order is none, yet %s has the role order-id", a.Name, withRole.Name)
		}
	case name == "":
		b.fault("action %s: no order: name the request member that holds the order's id, or none", a.Name)
	case withRole == nil || withRole.Name != name:
		b.fault("action %s: order is %s, so this member of %s needs the role order-id", a.Name, name, a.Request.Name)
	default:
		a.Order = withRole
	}
}

func (b *builder) echoes(a *action) {
	for _, m := range a.Response.Members {
		if m.Echo != "" && a.Request != nil && a.Request.named(m.Echo) == nil {
			b.fault("%s.%s: echoes %s, which is no member of %s", a.Response.Name, m.Name, m.Echo, a.Request.Name)
		}
	}
}

func (b *builder) codes() {
	var all map[string]struct{ Class, Message string }
	b.decode("x-ottpay-codes", b.doc.Extensions["x-ottpay-codes"], &all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(classes, all[name].Class) {
			b.fault("code %s: class must be one of %v", name, classes)
		}
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`).MatchString(name) {
			b.fault("code %s: a name is of capitals, digits and _: codes are compared in capitals", name)
		}
		if all[name].Message == "" {
			b.fault("code %s: no message", name)
		}
		b.Codes = append(b.Codes, code{Name: name, GoName: "Code" + goName(strings.ToLower(name)), Class: all[name].Class, Message: all[name].Message})
	}
	if len(b.Codes) == 0 {
		b.fault("x-ottpay-codes: none")
	}
}

func (b *builder) statuses() {
	var all map[string]struct {
		Meaning, Same string
		Paid          any
		Held          bool
		Final         *bool
	}
	b.decode("x-ottpay-statuses", b.doc.Extensions["x-ottpay-statuses"], &all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		in := all[name]
		if in.Paid != true && in.Paid != false && in.Paid != "was" || in.Final == nil {
			b.fault("status %s: paid must be true, false or was, and final true or false", name)
			continue
		}
		if in.Meaning == "" {
			b.fault("status %s: no meaning", name)
		}
		if name != strings.ToLower(strings.TrimSpace(name)) {
			b.fault("status %s: write it in lower case, which is how statuses are compared", name)
		}
		if in.Held && in.Paid != false {
			b.fault("status %s: what is held is not paid", name)
		}
		s := status{
			Name: name, GoName: "Status" + goName(name), Meaning: in.Meaning,
			Paid: in.Paid == true, Held: in.Held, Was: in.Paid == "was", Final: *in.Final,
		}
		if in.Same != "" {
			other, ok := all[in.Same]
			if !ok || other.Same != "" || other.Paid != in.Paid || other.Held != in.Held || other.Final == nil || *other.Final != *in.Final {
				b.fault("status %s: same must name a status with the same paid, held and final", name)
			}
			s.Same = "Status" + goName(in.Same)
		}
		b.Statuses = append(b.Statuses, s)
	}
	if len(b.Statuses) == 0 {
		b.fault("x-ottpay-statuses: none")
	}
}
