package drift

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf16"
)

// how says how a style writes a page. The zero value writes plain GFM.
type how struct {
	header   []string // name, description, required, notes
	columns  []int    // their order
	yes, no  string
	cell     func(col int, text string) string
	row      func(cells []string) string                       // one line of Markdown
	table    func(header []string, rows [][]string) string     // a whole table
	rows     func(header []string, rows [][]string) [][]string // before writing: merged, doubled, shifted …
	heading  func(level int, text string) string
	code     func(code string) string // a whole example block
	json     func(code string) string // its text
	page     func(text string) string // afterwards
	doc      func(d doc) doc          // before
	noTitles bool                     // of parts
}

func (h how) write(d doc) string {
	if h.doc != nil {
		d = h.doc(d.clone())
	}
	header := h.header
	if header == nil {
		header = []string{"Params Name", "Description", "Required", "Notes"}
	}
	columns := h.columns
	if columns == nil {
		columns = []int{0, 1, 2, 3}
	}
	pick := func(all []string) []string {
		var out []string
		for _, c := range columns {
			out = append(out, all[c])
		}
		return out
	}
	heading := h.heading
	if heading == nil {
		heading = func(level int, text string) string { return strings.Repeat("#", level) + " " + text + "\n" }
	}
	table := h.table
	if table == nil {
		table = func(header []string, rows [][]string) string { return gfm(h.row, header, rows) }
	}
	code := h.code
	if code == nil {
		code = func(code string) string { return "```\n" + code + "\n```\n" }
	}
	var b strings.Builder
	line := func(s string) {
		if s != "" {
			b.WriteString(s + "\n")
		}
	}
	line(heading(1, d.title))
	for _, p := range d.parts {
		if p.section != "" && !h.noTitles {
			line(heading(2, p.section))
		}
		line(p.prose)
		if p.prose != "" {
			line(" ")
		}
		if !h.noTitles {
			line(heading(3, p.heading))
		}
		var rows [][]string
		for _, r := range p.rows {
			flag := r.required
			if r.required == "Y" && h.yes != "" {
				flag = h.yes
			}
			if r.required == "N" && h.no != "" {
				flag = h.no
			}
			cells := []string{r.name, r.description, flag, r.notes}
			for i := range cells {
				if h.cell != nil {
					cells[i] = h.cell(i, cells[i])
				}
			}
			rows = append(rows, pick(cells))
		}
		top := pick(header)
		if h.rows != nil {
			rows = h.rows(top, rows)
		}
		line(table(top, rows))
		if p.example.heading != "" {
			line(heading(4, p.example.heading))
			if text := p.example.code; text != "" {
				if h.json != nil {
					text = h.json(text)
				}
				line(code(text))
			}
		}
		line(p.after)
		if p.after != "" {
			line(" ")
		}
	}
	line(d.end)
	text := b.String()
	if h.page != nil {
		text = h.page(text)
	}
	return text
}

func padded(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

func gfm(row func([]string) string, header []string, rows [][]string) string {
	if row == nil {
		row = padded
	}
	out := row(header) + "\n" + row(repeat("---", len(header))) + "\n"
	for _, r := range rows {
		out += row(r) + "\n"
	}
	return out
}

func bare(row func([]string) string) func([]string, [][]string) string {
	return func(header []string, rows [][]string) string {
		out := row(header) + "\n"
		for _, r := range rows {
			out += row(r) + "\n"
		}
		return strings.TrimRight(out, "\n")
	}
}

func repeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// htmlTable writes <table> with the given cells.
func htmlTable(head, cell string, attr string) func([]string, [][]string) string {
	return func(header []string, rows [][]string) string {
		var b strings.Builder
		b.WriteString("<table" + attr + "><thead><tr>")
		for _, c := range header {
			fmt.Fprintf(&b, "<"+head+">%s</"+head+">", html.EscapeString(c))
		}
		b.WriteString("</tr></thead><tbody>")
		for _, r := range rows {
			b.WriteString("<tr>")
			for _, c := range r {
				fmt.Fprintf(&b, cell, html.EscapeString(unlink(c)))
			}
			b.WriteString("</tr>")
		}
		b.WriteString("</tbody></table>\n")
		return b.String()
	}
}

var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

func unlink(s string) string { return link.ReplaceAllString(s, "$1") }

func plainHeading(_ int, text string) string { return text }

func underscores(_ int, s string) string { return strings.ReplaceAll(s, "_", `\_`) }

func indent(s, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+by)
}

func htmlPage(body string) string {
	return "<!DOCTYPE html>\n<html><head><title>Payment Request API | OTT Pay</title><script>var x = {\"a\":1};</script></head><body><nav><a href=/>Home</a></nav><main>" + body + "</main></body></html>"
}

func htmlHeading(level int, text string) string {
	return fmt.Sprintf("<h%d>%s</h%d>", level, html.EscapeString(text), level)
}

func htmlCode(code string) string { return "<pre><code>" + html.EscapeString(code) + "</code></pre>" }

// styles are ways to write one page so that it says the same.
var styles = map[string]how{
	"gfm": {},
	"gitbook": {
		cell: underscores,
		heading: func(level int, text string) string {
			return strings.Repeat("#", level) + " :white\\_check\\_mark: " + strings.Replace(text, "s", "&#x73;", 1) + "\n"
		},
		code: func(code string) string { return "```php\n" + code + "\n```\n" },
	},
	"copied text": {table: bare(func(c []string) string { return strings.Join(c, " | ") + " |" }), heading: func(_ int, t string) string { return "☑️ " + t },
		code: func(c string) string { return c }},
	"copied text, no marks": {table: bare(func(c []string) string { return strings.Join(c, " | ") + " |" }), heading: plainHeading, code: func(c string) string { return c }},
	"copied text, trailing empty cells cut": {table: bare(func(c []string) string {
		return strings.TrimRight(strings.Join(c, " | "), " |") + " |"
	}), heading: plainHeading, code: func(c string) string { return c }},
	"no padding":                {row: func(c []string) string { return "|" + strings.Join(c, "|") + "|" }},
	"no outer bars":             {row: func(c []string) string { return strings.Join(c, " | ") }},
	"no padding, no outer bars": {row: func(c []string) string { return strings.Join(c, "|") }},
	"tabs as padding":           {row: func(c []string) string { return "|\t" + strings.Join(c, "\t|\t") + "\t|" }},
	"tab separated":             {table: bare(func(c []string) string { return strings.Join(c, "\t") }), heading: func(_ int, t string) string { return t + "\n" }},
	"aligned columns":           {row: func(c []string) string { return fmt.Sprintf("| %-20s | %30s | %10s | %-60s |", c[0], c[1], c[2], c[3]) }},
	"blank columns": {table: bare(func(c []string) string {
		return strings.TrimRight(fmt.Sprintf("%-20s  %-40s  %-12s  %s", c[0], c[1], c[2], c[3]), " ")
	}), heading: func(_ int, t string) string { return t + "\n" }},
	"grid":              {table: grid},
	"boxes":             {table: func(h []string, r [][]string) string { return boxes.Replace(grid(h, r)) }},
	"colons":            {table: func(h []string, r [][]string) string { return strings.ReplaceAll(gfm(nil, h, r), "---", ":---:") }},
	"crlf":              {page: func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
	"cr":                {page: func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }},
	"bom":               {page: func(s string) string { return "\ufeff" + s }},
	"utf-16":            {page: utf16Page},
	"nbsp":              {page: func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }},
	"zero width":        {cell: func(_ int, s string) string { return strings.ReplaceAll(s, "_", "\u200b_\u200b") }},
	"soft hyphens":      {cell: func(col int, s string) string { return strings.ReplaceAll(s, "e", "e\u00ad") }},
	"full width":        {cell: func(_ int, s string) string { return fullWidth(unlink(s)) }},
	"full-width bars":   {row: func(c []string) string { return "｜" + strings.Join(c, "｜") + "｜" }, table: bare(func(c []string) string { return "｜" + strings.Join(c, "｜") + "｜" })},
	"ideographic space": {row: func(c []string) string { return "|\u3000" + strings.Join(c, "\u3000|\u3000") + "\u3000|" }},
	"numeric entities": {cell: func(_ int, s string) string {
		return strings.NewReplacer("_", "&#95;", "e", "&#x65;").Replace(unlink(s))
	}},
	"named entities": {cell: func(_ int, s string) string {
		return strings.NewReplacer("_", "&lowbar;", `"`, "&quot;", " ", "&nbsp;").Replace(unlink(s))
	}},
	"bold names":   {cell: wrap(0, "**", "**")},
	"italic":       {cell: wrap(0, "*", "*")},
	"code names":   {cell: wrap(0, "`", "`")},
	"linked names": {cell: wrap(0, "[", "](#x)")},
	"bold all":     {cell: func(col int, s string) string { return wrap(col, "**", "**")(col, s) }},
	"code constants": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, "`$1`")
	}},
	"bare constants": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, "$1")
	}},
	"bold constants": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, `"**$1**"`)
	}},
	"other quotes": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, "「$1」")
	}},
	"single quotes": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, "'$1'")
	}},
	"constant label": {cell: func(col int, s string) string {
		return regexp.MustCompile(`^["“]([^"”]*)["”]$`).ReplaceAllString(s, `Constant value: "$1"`)
	}},
	"html cells":  {cell: func(col int, s string) string { return "<span style=\"color:red\">" + s + "</span>" }},
	"html breaks": {cell: func(col int, s string) string { return breakAt(col, s, "<br>") }},
	"html paragraphs": {cell: func(col int, s string) string {
		if s == "" {
			return s
		}
		return "<p>" + breakAt(col, s, "</p><p>") + "</p>"
	}},
	"names broken": {cell: func(col int, s string) string {
		if col == 0 {
			return strings.Replace(s, "_", "_<br>", 1)
		}
		return s
	}},
	"cells over lines": {cell: func(col int, s string) string { return breakAt(col, s, "<br>\n") }},
	"last cell over lines": {cell: func(col int, s string) string {
		if col != 3 {
			return s
		}
		return breakAt(col, s, "\n")
	}},
	"paragraphs over lines": {cell: func(col int, s string) string {
		if col != 1 || s == "" {
			return s
		}
		return "<p>" + breakAt(col, s, "</p>\n<p>") + "</p>"
	}},
	"html table":            {table: htmlTable("th", "<td>%s</td>", "")},
	"html table, td header": {table: htmlTable("td", "<td>%s</td>", ` data-header-hidden border="1"`)},
	"html table, p cells":   {table: htmlTable("th", "<td><p>%s</p></td>", "")},
	"html table, spread": {table: func(h []string, r [][]string) string {
		return strings.NewReplacer("<tr>", "\n\n    <tr>\n", "<td>", "\n        <td>\n            ", "</td>", "\n        </td>\n").Replace(htmlTable("th", "<td>%s</td>", "")(h, r))
	}},
	"html table, code names": {table: func(h []string, r [][]string) string {
		for _, row := range r {
			row[0] = "@@" + row[0] + "@@"
		}
		return regexp.MustCompile("@@([^@]*)@@").ReplaceAllString(htmlTable("th", "<td>%s</td>", "")(h, r), "<code>$1</code>")
	}},
	"html table, tags not closed": {table: func(h []string, r [][]string) string {
		return strings.NewReplacer("</td>", "", "</tr>", "\n", "</th>", "").Replace(htmlTable("th", "<td>%s</td>", "")(h, r))
	}},
	"html rows only": {table: func(h []string, r [][]string) string {
		return regexp.MustCompile(`</?(table|thead|tbody)>`).ReplaceAllString(htmlTable("th", "<td>%s</td>", "")(h, r), "")
	}},
	"html upper case": {table: func(h []string, r [][]string) string {
		return regexp.MustCompile(`</?[a-z]+>`).ReplaceAllStringFunc(htmlTable("th", "<td>%s</td>", "")(h, r), strings.ToUpper)
	}},
	"html with escapes":       {cell: underscores, table: htmlTable("th", "<td>%s</td>", "")},
	"html page":               {table: htmlTable("th", "<td>%s</td>", ""), heading: htmlHeading, code: htmlCode, page: htmlPage},
	"html page, div headings": {table: htmlTable("th", "<td><div><p>%s</p></div></td>", ""), heading: func(_ int, t string) string { return "<div class=h>" + html.EscapeString(t) + "</div>" }, code: htmlCode, page: htmlPage},
	"text in pre": {table: bare(func(c []string) string { return strings.Join(c, " | ") + " |" }), heading: plainHeading, code: func(c string) string { return c },
		page: func(s string) string { return htmlPage("<pre>" + html.EscapeString(s) + "</pre>") }},
	"details": {table: func(h []string, r [][]string) string {
		return "<details>\n<summary>Parameters</summary>\n\n" + gfm(nil, h, r) + "\n</details>\n"
	}},
	"hints and tabs": {table: func(h []string, r [][]string) string {
		return "{% tabs %}\n{% tab title=\"Parameters\" %}\n" + gfm(nil, h, r) + "{% endtab %}\n{% endtabs %}\n\n{% hint style=\"info\" %}\nMind the amounts.\n{% endhint %}\n"
	}},
	"code tags": {code: func(c string) string {
		return "{% code title=\"example.json\" overflow=\"wrap\" %}\n```json\n" + c + "\n```\n{% endcode %}\n"
	}},
	"in a quote":            {page: func(s string) string { return indent(s, "> ") }},
	"in a list":             {table: func(h []string, r [][]string) string { return "* Parameters\n\n" + indent(gfm(nil, h, r), "  ") + "\n" }},
	"indented":              {table: func(h []string, r [][]string) string { return indent(gfm(nil, h, r), "    ") + "\n" }},
	"table in a code block": {table: func(h []string, r [][]string) string { return "```\n" + gfm(nil, h, r) + "```\n" }},
	"comments": {table: func(h []string, r [][]string) string {
		return "<!-- begin\n\ntable -->\n" + gfm(nil, h, r) + "<!-- end -->\n"
	}},
	"front matter": {page: func(s string) string {
		return "---\ndescription: >-\n  The request of a payment\nicon: card\n---\n\n" + s
	}},
	"setext": {heading: func(level int, text string) string {
		return text + "\n" + []string{"=====", "-----"}[min(level-1, 1)] + "\n"
	}},
	"other levels": {heading: func(level int, text string) string {
		return strings.Repeat("#", 7-level) + " " + text + " " + strings.Repeat("#", 3) + "\n"
	}},
	"bold headings": {heading: func(_ int, text string) string { return "**" + text + "**\n" }},
	"emoji headings": {heading: func(level int, text string) string {
		return strings.Repeat("#", level) + " 🔷 **" + text + "** 💳\n"
	}},
	"html headings": {heading: func(level int, text string) string { return htmlHeading(level, text) + "\n" }},
	"anchors": {heading: func(level int, text string) string {
		return strings.Repeat("#", level) + " " + text + ` <a href="#x" id="x"></a>` + "\n"
	}},
	"chinese headings": {heading: func(level int, text string) string {
		return strings.Repeat("#", level) + " " + strings.NewReplacer("API Request Parameters", "接口请求参数", "API Response Parameters", "接口返回参数", "API Call Back", "异步回调通知", "Data(JSON Data, to be encrypted)", "业务参数（加密前）", "Transaction Data", "业务数据（解密后）").Replace(text) + "\n"
	}},
	"no headings": {noTitles: true, heading: func(level int, text string) string {
		if level == 1 {
			return "# " + text + "\n"
		}
		return ""
	}, table: func(h []string, r [][]string) string { return gfm(nil, h, r) + "\n" }},
	"rules":                      {table: func(h []string, r [][]string) string { return "\n***\n\n" + gfm(nil, h, r) + "\n---\n" }},
	"columns turned":             {columns: []int{3, 2, 1, 0}},
	"columns turned, html":       {columns: []int{2, 0, 3, 1}, table: htmlTable("th", "<td>%s</td>", "")},
	"required first":             {columns: []int{2, 0, 1, 3}},
	"notes before required":      {columns: []int{0, 1, 3, 2}},
	"notes before description":   {columns: []int{0, 3, 2, 1}},
	"columns turned, chinese":    {columns: []int{0, 2, 1, 3}, header: []string{"参数名", "描述", "是否必填", "备注"}},
	"chinese":                    {header: []string{"参数名称", "说明", "必填", "备注"}, yes: "是", no: "否"},
	"chinese, two columns alike": {header: []string{"字段", "字段说明", "是否必须", "说明"}, yes: "必填", no: "选填"},
	"misprints":                  {header: []string{"Parms Nmae", "Decription", "Requird", "Ntoes"}},
	"reworded":                   {header: []string{"Field", "Meaning", "Mandatory", "Remarks"}, yes: "M", no: "O"},
	"reworded more":              {header: []string{"Parameter", "What it is", "Must it be sent?", "Comment"}, yes: "Yes", no: "No"},
	"unknown words":              {header: []string{"Foo", "Bar", "Baz", "Qux"}},
	"optional column":            {header: []string{"Name", "Description", "Optional", "Notes"}, yes: "N", no: "Y"},
	"header in capitals":         {header: []string{"PARAMS NAME", "DESCRIPTION", "REQUIRED", "NOTES"}},
	"header in bold":             {header: []string{"**Params Name**", "**Description**", "**Required**", "**Notes**"}},
	"yes and no":                 {yes: "Yes", no: "No"},
	"true and false":             {yes: "true", no: "false"},
	"required and optional":      {yes: "Required", no: "Optional"},
	"marks":                      {yes: "✅", no: "❌"},
	"short marks":                {yes: ":white\\_check\\_mark:", no: ":x:"},
	"ticks":                      {yes: "✓", no: "✗"},
	"bold flags":                 {yes: "**Y**", no: "**N**"},
	"lower flags":                {yes: "y", no: "n"},
	"flags with words":           {yes: "Y (always)", no: "N (optional)"},
	"one and zero":               {yes: "1", no: "0"},
	"number column": {table: func(h []string, r [][]string) string {
		for i := range r {
			r[i] = append([]string{fmt.Sprint(i + 1)}, r[i]...)
		}
		return gfm(nil, append([]string{"No."}, h...), r)
	}},
	"type column": {table: func(h []string, r [][]string) string {
		for i := range r {
			r[i] = []string{r[i][0], "String", r[i][1], r[i][2], r[i][3]}
		}
		return gfm(nil, []string{h[0], "Type", h[1], h[2], h[3]}, r)
	}, doc: noTypes},
	"example column": {table: func(h []string, r [][]string) string {
		for i := range r {
			r[i] = append(r[i], "abc123")
		}
		return gfm(nil, append(h, "Example"), r)
	}},
	"rows shifted": {rows: func(_ []string, r [][]string) [][]string {
		for i := range r {
			if i%3 == 1 {
				r[i] = append([]string{""}, r[i]...)
			}
		}
		return r
	}},
	"rows without description": {rows: func(_ []string, r [][]string) [][]string {
		for i := range r {
			if i%3 == 2 {
				r[i] = []string{r[i][0], r[i][2], r[i][3]}
			}
		}
		return r
	}},
	"extra empty cell": {rows: func(_ []string, r [][]string) [][]string {
		for i := range r {
			if i%2 == 1 {
				r[i] = []string{r[i][0], "", r[i][1], r[i][2], r[i][3]}
			}
		}
		return r
	}},
	"short rows": {rows: func(_ []string, r [][]string) [][]string {
		for i := range r {
			for len(r[i]) > 3 && r[i][len(r[i])-1] == "" {
				r[i] = r[i][:len(r[i])-1]
			}
		}
		return r
	}},
	"rows doubled": {rows: func(_ []string, r [][]string) [][]string {
		var out [][]string
		for _, x := range r {
			out = append(out, x, x)
		}
		return out
	}},
	"rows split": {rows: func(_ []string, r [][]string) [][]string {
		var out [][]string
		for _, x := range r {
			out = append(out, []string{x[0], x[1], "", ""}, []string{"", "", x[2], x[3]})
		}
		return out
	}},
	"names split over rows": {rows: func(_ []string, r [][]string) [][]string {
		var out [][]string
		for _, x := range r {
			if i := strings.LastIndex(x[0], "_"); i > 0 {
				out = append(out, []string{x[0][:i+1], x[1], x[2], x[3]}, []string{x[0][i+1:], "", "", ""})
				continue
			}
			out = append(out, x)
		}
		return out
	}},
	"rows merged with breaks": {rows: mergeRows("<br>")},
	"rows merged, html": {rows: mergeRows("<br>"), table: func(h []string, r [][]string) string {
		return strings.ReplaceAll(htmlTable("th", "<td>%s</td>", "")(h, r), "&lt;br&gt;", "<br>")
	}},
	"rows on one line": {rows: func(_ []string, r [][]string) [][]string {
		var out [][]string
		for i := 0; i < len(r); i += 2 {
			if i+1 < len(r) {
				out = append(out, append(append([]string(nil), r[i]...), r[i+1]...))
			} else {
				out = append(out, r[i])
			}
		}
		return out
	}},
	"header repeated": {rows: func(h []string, r [][]string) [][]string {
		return append(append(append([][]string(nil), r[:len(r)/2]...), h), r[len(r)/2:]...)
	}},
	"tables doubled": {table: func(h []string, r [][]string) string { return gfm(nil, h, r) + "\n" + gfm(nil, h, r) }},
	"page doubled":   {page: func(s string) string { return s + "\n\n" + s }},
	"tables split": {table: func(h []string, r [][]string) string {
		return gfm(nil, h, r[:len(r)/2]) + "\n" + bare(padded)(r[len(r)/2], r[len(r)/2+1:]) + "\n"
	}},
	"tables split, header again": {table: func(h []string, r [][]string) string {
		return gfm(nil, h, r[:len(r)/2]) + "\nTable continued\n\n" + gfm(nil, h, r[len(r)/2:]) + "\n"
	}},
	"tables split, html": {table: func(h []string, r [][]string) string {
		t := htmlTable("th", "<td>%s</td>", "")
		return t(h, r[:len(r)/2]) + "\n" + t(h, r[len(r)/2:])
	}},
	"blank lines between rows":       {table: func(h []string, r [][]string) string { return strings.ReplaceAll(gfm(nil, h, r), "|\n|", "|\n\n|") }},
	"envelope merged with data":      {doc: mergeParts(0, 1)},
	"answer merged with data":        {doc: mergeParts(2, 3)},
	"envelope merged, title between": {doc: func(d doc) doc { return mergeWith(d, 0, 1, []row{{"**Data**", "", "", ""}}) }},
	"all tables in one": {doc: func(d doc) doc {
		for len(d.parts) > 1 {
			d = mergeWith(d, 0, 1, nil)
		}
		return d
	}},
	"rows sorted": {rows: func(_ []string, r [][]string) [][]string {
		for i := range r {
			for j := i; j > 0 && r[j][0] < r[j-1][0]; j-- {
				r[j], r[j-1] = r[j-1], r[j]
			}
		}
		return r
	}},
	"rows turned": {rows: func(_ []string, r [][]string) [][]string {
		for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
			r[i], r[j] = r[j], r[i]
		}
		return r
	}},
	"footnotes": {cell: func(col int, s string) string {
		if col == 0 {
			return s + "<sup>1</sup>"
		}
		return s
	}},
	"dotted names": {cell: func(col int, s string) string {
		if col == 0 {
			return "data." + s
		}
		return s
	}},
	"names with arrows": {cell: func(col int, s string) string {
		if col == 0 {
			return "└─ " + s
		}
		return s
	}},
	"json fences":         {code: func(c string) string { return "```json\n" + c + "\n```\n" }},
	"tilde fences":        {code: func(c string) string { return "~~~\n" + c + "\n~~~\n" }},
	"indented code":       {code: func(c string) string { return "\n" + indent(c, "    ") + "\n" }},
	"raw code":            {code: func(c string) string { return c + "\n" }},
	"pre":                 {code: func(c string) string { return htmlCode(c) + "\n" }},
	"code behind a colon": {code: func(c string) string { return "```\ndata = " + strings.TrimSpace(c) + "\n```\n" }},
	"typographic quotes":  {json: func(c string) string { return regexp.MustCompile(`"([^"\n]*)"`).ReplaceAllString(c, "“$1”") }},
	"single-quoted json":  {json: func(c string) string { return regexp.MustCompile(`"([^"\n']*)"`).ReplaceAllString(c, "'$1'") }},
	"commented json": {json: func(c string) string {
		return strings.Replace(strings.ReplaceAll(c, ",\n", ", // a member\n"), "{", "{ /* begin */", 1)
	}},
	"hash comments":      {json: func(c string) string { return strings.ReplaceAll(c, ",\n", ", # 说明\n") }},
	"comma too many":     {json: func(c string) string { return regexp.MustCompile(`\n(\s*)\}$`).ReplaceAllString(c, ",\n$1}") }},
	"commas missing":     {json: func(c string) string { return strings.ReplaceAll(c, ",\n", "\n") }},
	"names bare":         {json: func(c string) string { return regexp.MustCompile(`"([A-Za-z_0-9]+)"\s*:`).ReplaceAllString(c, "$1:") }},
	"full-width json":    {json: func(c string) string { return strings.NewReplacer(`":`, `"：`, ",\n", "，\n").Replace(c) }},
	"json on one line":   {json: func(c string) string { return strings.ReplaceAll(c, "\n", " ") }},
	"json with ellipsis": {json: func(c string) string { return regexp.MustCompile(`\n(\s*)\}$`).ReplaceAllString(c, ",\n$1...\n$1}") }},
	"json with words":    {json: func(c string) string { return "POST body:\n" + c + "\n(end)" }},
	"entities in json": {code: func(c string) string {
		return "<pre>" + strings.ReplaceAll(html.EscapeString(c), "&#34;", "&quot;") + "</pre>\n"
	}},
	"brace not closed": {json: func(c string) string { return strings.TrimRight(strings.TrimRight(c, " \n"), "}") }, page: func(s string) string { return s + "\n# End\n" }},
	"shouting": {page: func(s string) string {
		return s + "\n\nLast updated 2 years ago\n\nWas this helpful?\n\n[Previous](a.md)[Next](b.md)\n"
	}},
	"menu": {page: func(s string) string {
		return "* [Home](index.md)\n* [Common rules](common-rules.md)\n* [Refund](refund.md)\n\n" + s
	}},
	"list of members": {heading: func(level int, text string) string { return strings.Repeat("#", level) + " " + text + "\n" }, table: func(h []string, r [][]string) string {
		out := ""
		for _, c := range r {
			out += fmt.Sprintf("- `%s` (%s): %s. %s\n", c[0], map[string]string{"Y": "required", "N": "optional"}[c[2]], c[1], c[3])
		}
		return out
	}},
	"a cell on each line": {heading: func(_ int, t string) string { return t + "\n" }, table: func(h []string, r [][]string) string {
		out := strings.Join(h, "\n") + "\n"
		for _, c := range r {
			out += strings.TrimRight(strings.Join(c, "\n"), "\n") + "\n"
		}
		return out
	}},
}

func grid(header []string, rows [][]string) string {
	line := "+" + strings.Join(repeat(strings.Repeat("-", 20), len(header)), "+") + "+\n"
	out := line + padded(header) + "\n" + strings.ReplaceAll(line, "-", "=")
	for _, r := range rows {
		out += padded(r) + "\n" + line
	}
	return out
}

var boxes = strings.NewReplacer("|", "│", "+-", "├─", "-", "─", "=", "═", "+", "┼")

func wrap(column int, before, after string) func(int, string) string {
	return func(col int, s string) string {
		if col != column || s == "" || strings.HasPrefix(s, "[") || strings.Contains(s, "](") {
			return s
		}
		return before + s + after
	}
}

// breakAt breaks a description or a note in its middle.
func breakAt(col int, s, with string) string {
	if i := strings.Index(s, " "); i > 0 && (col == 1 || col == 3) && !strings.Contains(s, "](") {
		return s[:i] + with + s[i+1:]
	}
	return s
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '|' {
			return r + 0xfee0
		}
		return r
	}, s)
}

func utf16Page(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// noTypes leaves out of the notes what a column for types says.
func noTypes(d doc) doc {
	for i := range d.parts {
		for j := range d.parts[i].rows {
			r := &d.parts[i].rows[j]
			r.notes = strings.TrimPrefix(r.notes, "String, ")
			if strings.HasPrefix(r.notes, "String(e.g.") {
				r.notes = strings.TrimPrefix(r.notes, "String")
			}
		}
	}
	return d
}

func mergeRows(with string) func([]string, [][]string) [][]string {
	return func(_ []string, r [][]string) [][]string {
		var out [][]string
		for i := 0; i < len(r); i += 2 {
			if i+1 == len(r) {
				return append(out, r[i])
			}
			both := make([]string, len(r[i]))
			for c := range both {
				a, b := r[i][c], r[i+1][c]
				if a == "" {
					a = "&nbsp;-"
				}
				if b == "" {
					b = "&nbsp;-"
				}
				both[c] = a + with + b
			}
			out = append(out, both)
		}
		return out
	}
}

func mergeParts(i, j int) func(doc) doc {
	return func(d doc) doc { return mergeWith(d, i, j, nil) }
}

func mergeWith(d doc, i, j int, between []row) doc {
	d = d.clone()
	a, b := d.parts[i], d.parts[j]
	a.rows = append(append(a.rows, between...), b.rows...)
	if b.example.code != "" {
		a.after = a.after + "\n\n```\n" + b.example.code + "\n```\n"
	}
	a.after += "\n" + b.after
	d.parts[i] = a
	d.parts = append(d.parts[:j], d.parts[j+1:]...)
	return d
}
