package drift

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Words are the vendor's words about the members of each page, as they stood
// when they were recorded in openapi/wording.yaml. The document has words of its
// own, so only this record can show that a description or a note changed.
type Words struct {
	// pages has, by address and part, the words about each member.
	pages map[string]map[string]map[string]string
}

// ReadWords reads a record. An empty one is fine.
func ReadWords(name string, source []byte) (*Words, error) {
	w := &Words{pages: make(map[string]map[string]map[string]string)}
	if err := yaml.Unmarshal(source, &w.pages); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return w, nil
}

// wordsOf returns what a row says besides its name and its flag, without the
// signs that only change its looks.
func wordsOf(row *param) string {
	clean := func(s string) string {
		s = strings.NewReplacer("“", `"`, "”", `"`, "‘", "'", "’", "'", "`", "", "**", "").Replace(s)
		return strings.Join(strings.Fields(s), " ")
	}
	description, notes := clean(row.Description), clean(row.Notes)
	if notes == "" {
		return description
	}
	return description + " | " + notes
}

// compareWords reports rows whose words are not those on record. What another
// finding is about already is not repeated. A page without a record says nothing.
func (r *reading) compareWords(s *slot, words *Words, found []Finding) []Finding {
	if words == nil {
		return nil
	}
	known := words.pages[r.address][s.title]
	var out []Finding
	for i := range r.rows[s] {
		row := &r.rows[s][i]
		m := s.schema.reads(row.Name)
		if m == nil || slices.ContainsFunc(found, func(f Finding) bool { return f.slot == s && f.Member == m.name }) {
			continue
		}
		was, ok := known[m.name]
		if now := wordsOf(row); ok && was != now {
			f := r.finding(s, m, WordingChange, was, now, "")
			f.table, f.row, f.pageLine, f.param = row.table.Number, row.Row, row.Line, row
			out = append(out, f)
		}
	}
	return out
}

// record puts the words of a reading on record.
func (w *Words) record(r *reading) {
	if r.address == "" {
		return
	}
	parts := make(map[string]map[string]string)
	for _, s := range r.slots {
		for i := range r.rows[s] {
			row := &r.rows[s][i]
			if m := s.schema.reads(row.Name); m != nil {
				if parts[s.title] == nil {
					parts[s.title] = make(map[string]string)
				}
				parts[s.title][m.name] = wordsOf(row)
			}
		}
	}
	w.pages[r.address] = parts
}

// YAML writes the record.
func (w *Words) YAML() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# The words of the vendor's pages about each member, as they were when\n# `ottpay docs diff --write --wording` read them. Only a change of them is\n# reported, and only with --wording. Nothing is generated from this file.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(w.pages); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
