package drift

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Report writes findings for people: what changed on which page, table and row,
// what it was and is, the line of the document, and what to do.
func (d *Document) Report(w io.Writer, all []Finding) error {
	out := bufio.NewWriter(w)
	page := "\x00"
	for _, f := range all {
		if f.Page != page {
			page = f.Page
			fmt.Fprintf(out, "%s", orElse(page, "no page"))
			if f.Action != "" {
				fmt.Fprintf(out, "  %s", f.Action)
			}
			if f.Address != "" && f.Address != page {
				fmt.Fprintf(out, "  %s", f.Address)
			}
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "  %s  %s", f.Kind, f.subject())
		if f.table > 0 {
			fmt.Fprintf(out, "  table %d", f.table)
			if f.row > 0 {
				fmt.Fprintf(out, ", row %d", f.row)
			}
			if f.pageLine > 0 {
				fmt.Fprintf(out, ", line %d", f.pageLine)
			}
		}
		fmt.Fprintln(out)
		if f.Kind != PageUnreadable {
			line(out, "was", f.Was)
		}
		line(out, "is", f.Now)
		line(out, "note", f.detail)
		if f.Line > 0 {
			fmt.Fprintf(out, "    %-8s%s:%d  %s\n", "document", d.Name, f.Line, short(d.lineText(f.Line)))
		}
		line(out, "decided", f.Decision)
		line(out, "to do", f.ToDo())
	}
	return out.Flush()
}

func line(w io.Writer, name, text string) {
	if text = strings.ReplaceAll(text, "\n", " "); text != "" {
		fmt.Fprintf(w, "    %-8s%s\n", name, text)
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// subject names the part and the member.
func (f *Finding) subject() string {
	switch {
	case f.slot != nil && f.Member != "":
		return f.slot.title + ": " + f.Member
	case f.slot != nil:
		return f.slot.title
	case f.Member != "":
		return string(f.Where) + ": " + f.Member
	}
	return string(f.Where)
}

// ToDo says what a person can do about the finding.
func (f *Finding) ToDo() string {
	decide := "Follow the page in the document, or record an x-ottpay-decision beside the member."
	switch f.Kind {
	case MemberAdded:
		if f.optional {
			return "Add it to the schema: `ottpay docs diff --write` does so."
		}
		return "The page requires it: decide who fills it in, then add it to the schema."
	case MemberRemoved:
		return "Remove it from the schema, or record an x-ottpay-decision if it is still sent or read."
	case MemberRenamed:
		return "Rename it and keep the old name as an alias, or record an x-ottpay-decision."
	case RequiredChange, ConstantChange, LengthChange, TypeChange:
		return decide
	case VersionChange:
		return "Change the action's version, or record an x-ottpay-decision beside the action."
	case ActionChange:
		return "Rename the action, or add the new one beside it with `ottpay docs import`."
	case CodeAdded:
		return "Add the code with its class to x-ottpay-codes: `ottpay docs diff --write` adds it as unclear."
	case CodeRemoved:
		return "Keep it if it was seen, with an x-ottpay-decision at the top of the document; else remove it."
	case ExampleInvalid, ExampleUnknownMember:
		return "Find out whether table or example is right, then change the schema or record an x-ottpay-decision."
	case PageUnreadable:
		return "Get the page again. Nothing was compared."
	case PageWithoutSchema:
		return "Draft the schemas with `ottpay docs import`."
	case SchemaWithoutPage:
		return "Find out whether the vendor still offers it, and correct the pages in the document."
	case WordingChange:
		return "Read it: `ottpay docs diff --write --wording` takes the new words over."
	}
	return ""
}

// Sentence says the finding in one line.
func (f *Finding) Sentence() string {
	s := f.subject()
	switch f.Kind {
	case PageUnreadable:
		return "The page cannot be read: " + f.Now + "."
	case PageWithoutSchema:
		return fmt.Sprintf("The page describes %s, which the document lacks.", orElse(f.Member, "an action"))
	case SchemaWithoutPage:
		return fmt.Sprintf("No page describes %s any more.", f.Was)
	}
	switch {
	case f.Was == "":
		return fmt.Sprintf("%s: %s: %s.", f.Kind, s, f.Now)
	case f.Now == "":
		return fmt.Sprintf("%s: %s: was %s.", f.Kind, s, f.Was)
	}
	return fmt.Sprintf("%s: %s: was %s, is %s.", f.Kind, s, f.Was, f.Now)
}

// WriteJSON writes one object a line for each finding.
func WriteJSON(w io.Writer, all []Finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range all {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// WriteGitHub writes a workflow command a line, which GitHub shows beside the
// document's line.
func (d *Document) WriteGitHub(w io.Writer, all []Finding) error {
	out := bufio.NewWriter(w)
	for _, f := range all {
		level := "warning"
		if f.Unreadable() {
			level = "error"
		}
		file, at := d.Name, f.Line
		if at == 0 {
			file, at = f.Page, max(f.pageLine, 1)
		}
		fmt.Fprintf(out, "::%s file=%s,line=%d,title=%s::%s\n", level, property(filepath.ToSlash(file)), at, property(string(f.Kind)), message(f.Page+": "+f.Sentence()+" "+f.ToDo()))
	}
	return out.Flush()
}

func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}

// WriteSARIF writes the findings in SARIF 2.1.0.
func (d *Document) WriteSARIF(w io.Writer, all []Finding) error {
	type text struct {
		Text string `json:"text"`
	}
	type artifact struct {
		URI string `json:"uri"`
	}
	type region struct {
		StartLine int `json:"startLine"`
	}
	type physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   *region  `json:"region,omitempty"`
	}
	type location struct {
		Physical physical `json:"physicalLocation"`
		Message  *text    `json:"message,omitempty"`
	}
	type rule struct {
		ID    string `json:"id"`
		Short text   `json:"shortDescription"`
	}
	type result struct {
		Rule         string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      text              `json:"message"`
		Locations    []location        `json:"locations"`
		Related      []location        `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	var rules []rule
	for _, k := range Kinds() {
		rules = append(rules, rule{string(k), text{strings.ReplaceAll(string(k), "-", " ")}})
	}
	results := []result{}
	for _, f := range all {
		level := "warning"
		switch f.Kind {
		case PageUnreadable:
			level = "error"
		case WordingChange:
			level = "note"
		}
		at := func(file string, line int, note string) location {
			l := location{Physical: physical{Artifact: artifact{filepath.ToSlash(file)}}}
			if line > 0 {
				l.Physical.Region = &region{line}
			}
			if note != "" {
				l.Message = &text{note}
			}
			return l
		}
		r := result{Rule: string(f.Kind), Level: level, Message: text{f.Sentence() + " " + f.ToDo()}}
		if f.Line > 0 {
			r.Locations = []location{at(d.Name, f.Line, "")}
			r.Related = []location{at(f.Page, f.pageLine, "the vendor's page")}
		} else {
			r.Locations = []location{at(orElse(f.Page, d.Name), f.pageLine, "")}
		}
		sum := sha256.Sum256([]byte(strings.Join([]string{f.Address, f.Action, string(f.Where), f.schema, f.Member, string(f.Kind), f.Now}, "\x00")))
		r.Fingerprints = map[string]string{"finding/v1": hex.EncodeToString(sum[:16])}
		results = append(results, r)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "ottpay docs diff", "informationUri": "https://github.com/ottpaykit/ottpay", "rules": rules}},
			"results": results,
		}},
	})
}
