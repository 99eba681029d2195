package explain

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/ottpaykit/ottpay/envelope"
)

// acceptedForms are the forms of the digest that the kit accepts, in order.
func acceptedForms() []envelope.Form {
	return []envelope.Form{envelope.FormJava, envelope.FormRaw, envelope.FormJavaNullEmpty, envelope.FormRawNullEmpty}
}

// joined returns the text that the digest is taken of.
func joined(object value, form envelope.Form) string {
	st := style{number: numberJava}
	if form == envelope.FormRaw || form == envelope.FormRawNullEmpty {
		st.number = numberRaw
	}
	st.null = "null"
	nullEmpty := form == envelope.FormJavaNullEmpty || form == envelope.FormRawNullEmpty
	var out []byte
	for _, i := range keyOrder(object.members) {
		v := object.members[i].value
		if v.kind == 'z' && nullEmpty {
			continue
		}
		out = st.append(out, v)
	}
	return string(out)
}

// keyOrder returns the indices of members in the order of Java's strings: by
// UTF-16 code unit.
func keyOrder(members []pair) []int {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareUTF16(members[a].name, members[b].name) })
	return order
}

func compareUTF16(a, b string) int {
	ascii := func(s string) bool {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return false
			}
		}
		return true
	}
	if ascii(a) && ascii(b) {
		return strings.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

// style is how values become text. Its zero value is not of use; see plainStyle.
type style struct {
	number    func(text string) string
	null      string
	yes, no   string
	nested    func(st *style, v value) string // nil: as Java prints maps
	transform func(text string, v value) string
}

func plainStyle() style { return style{number: numberJava, null: "null"} }

func (st *style) append(dst []byte, v value) []byte {
	switch v.kind {
	case 's':
		if st.transform != nil {
			return append(dst, st.transform(v.text, v)...)
		}
		return append(dst, v.text...)
	case 'n':
		return append(dst, st.number(v.text)...)
	case 't':
		if st.yes != "" || st.no != "" {
			return append(dst, st.yes...)
		}
		return append(dst, "true"...)
	case 'f':
		if st.yes != "" || st.no != "" {
			return append(dst, st.no...)
		}
		return append(dst, "false"...)
	case 'z':
		return append(dst, st.null...)
	}
	if st.nested != nil {
		return append(dst, st.nested(st, v)...)
	}
	return st.appendJavaMap(dst, v, "=", ", ", false)
}

// appendJavaMap prints as Java's AbstractMap and AbstractCollection do.
func (st *style) appendJavaMap(dst []byte, v value, equals, comma string, sorted bool) []byte {
	if v.kind == 'o' {
		order := make([]int, len(v.members))
		for i := range order {
			order[i] = i
		}
		if sorted {
			order = keyOrder(v.members)
		}
		dst = append(dst, '{')
		for i, at := range order {
			if i > 0 {
				dst = append(dst, comma...)
			}
			dst = append(append(dst, v.members[at].name...), equals...)
			dst = st.appendInner(dst, v.members[at].value, equals, comma, sorted)
		}
		return append(dst, '}')
	}
	dst = append(dst, '[')
	for i, item := range v.items {
		if i > 0 {
			dst = append(dst, comma...)
		}
		dst = st.appendInner(dst, item, equals, comma, sorted)
	}
	return append(dst, ']')
}

func (st *style) appendInner(dst []byte, v value, equals, comma string, sorted bool) []byte {
	if v.kind == 'o' || v.kind == 'a' {
		return st.appendJavaMap(dst, v, equals, comma, sorted)
	}
	return st.append(dst, v)
}

func (st *style) text(v value) string { return string(st.append(nil, v)) }

// numberRaw writes a number as the message does.
func numberRaw(text string) string { return text }

// numberJava writes a number as Java's Double.toString does.
func numberJava(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	if abs := math.Abs(f); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
	}
	return exponent(f, "E", false, true)
}

func withPoint(s string) string {
	if strings.ContainsAny(s, ".eE") {
		return s
	}
	return s + ".0"
}

// exponent writes d.dddE±n with the signs that a language puts there.
func exponent(f float64, letter string, plus, point bool) string {
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if point {
		mantissa = withPoint(mantissa)
	}
	n, _ := strconv.Atoi(exp)
	sign := ""
	if n >= 0 && plus {
		sign = "+"
	}
	return mantissa + letter + sign + strconv.Itoa(n)
}

// numberStyle is a way to write numbers, and what people call it.
type numberStyle struct {
	name  string
	write func(string) string
}

// numberStyles are those besides Java's and the message's own.
func numberStyles() []numberStyle {
	double := func(write func(f float64, text string) string) func(string) string {
		return func(text string) string {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return text
			}
			return write(f, text)
		}
	}
	plain := double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', -1, 64) })
	return []numberStyle{
		{"integers as integers, without .0", plain},
		{"as JavaScript prints numbers", double(func(f float64, _ string) string {
			if a := math.Abs(f); a != 0 && (a >= 1e21 || a < 1e-6) {
				return exponent(f, "e", true, false)
			}
			return strconv.FormatFloat(f, 'f', -1, 64)
		})},
		{"as Go prints a float64", double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'g', -1, 64) })},
		{"without an exponent: 10000000.0 in place of 1.0E7", double(func(f float64, _ string) string {
			return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
		})},
		{"as Python prints floats", double(func(f float64, _ string) string {
			if a := math.Abs(f); a != 0 && (a >= 1e16 || a < 1e-4) {
				return strconv.FormatFloat(f, 'e', -1, 64)
			}
			return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
		})},
		{"as written, with .0 glued on", func(text string) string { return text + ".0" }},
		{"as written, with .0 behind integers", func(text string) string { return withPoint(text) }},
		{"decimals as written and integers as doubles", double(func(_ float64, text string) string {
			if strings.ContainsAny(text, ".eE") {
				return text
			}
			return numberJava(text)
		})},
		{"integers as written and decimals as doubles", double(func(_ float64, text string) string {
			if !strings.ContainsAny(text, ".eE") {
				return text
			}
			return numberJava(text)
		})},
		{"with two decimals", double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', 2, 64) })},
		{"with one decimal", double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', 1, 64) })},
		{"with six decimals, as %f prints", double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'f', 6, 64) })},
		{"with an exponent of two digits (1.0E+07)", double(func(f float64, _ string) string {
			if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
				return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
			}
			return strconv.FormatFloat(f, 'E', -1, 64)
		})},
		{"with a plus sign in the exponent (1.0E+7)", double(func(f float64, _ string) string {
			if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
				return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
			}
			return exponent(f, "E", true, true)
		})},
		{"with a small e in the exponent (1.0e7)", double(func(f float64, _ string) string {
			if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
				return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
			}
			return exponent(f, "e", false, true)
		})},
		{"without a point in the exponent's number (1E7)", double(func(f float64, _ string) string {
			if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
				return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
			}
			return exponent(f, "E", false, false)
		})},
		{"cut to integers", double(func(f float64, _ string) string { return strconv.FormatFloat(math.Trunc(f), 'f', 0, 64) })},
		{"in six significant digits, as %g prints", double(func(f float64, _ string) string { return strconv.FormatFloat(f, 'g', 6, 64) })},
		{"always with an exponent", double(func(f float64, _ string) string { return exponent(f, "E", false, true) })},
		{"in single precision", double(func(f float64, _ string) string {
			s := float64(float32(f))
			if a := math.Abs(s); a == 0 || a >= 1e-3 && a < 1e7 {
				return withPoint(strconv.FormatFloat(s, 'f', -1, 32))
			}
			return numberJava(strconv.FormatFloat(s, 'g', -1, 32))
		})},
	}
}

// named pairs a text with what people call it.
type named struct{ name, text string }

func nullStyles() []named {
	return []named{
		{"None", "None"}, {"NULL", "NULL"}, {"nil", "nil"}, {"<nil>", "<nil>"}, {"undefined", "undefined"},
		{"Null", "Null"}, {"(null)", "(null)"}, {"NaN", "NaN"}, {"0", "0"}, {"nan", "nan"}, {"a blank", " "}, {"{}", "{}"}, {`""`, `""`},
	}
}

// boolStyle is how true and false are written.
type boolStyle struct{ name, yes, no string }

func boolStyles() []boolStyle {
	return []boolStyle{
		{"True and False, as Python prints them", "True", "False"},
		{"1 and 0", "1", "0"},
		{"1 and nothing, as PHP prints them", "1", ""},
		{"TRUE and FALSE", "TRUE", "FALSE"},
		{"1.0 and 0.0", "1.0", "0.0"},
		{"Y and N", "Y", "N"},
		{"yes and no", "yes", "no"},
		{"T and F", "T", "F"},
		{"t and f", "t", "f"},
		{"on and off", "on", "off"},
	}
}

// nestedStyle is how objects and arrays inside of values are written.
type nestedStyle struct {
	name  string
	write func(st *style, v value) string
}

func nestedStyles() []nestedStyle {
	jsonText := func(o jsonOptions) func(*style, value) string {
		return func(_ *style, v value) string { return string(o.append(nil, v, 0)) }
	}
	return []nestedStyle{
		{"as JSON", jsonText(jsonOptions{})},
		{"as JSON, sorted", jsonText(jsonOptions{sorted: true})},
		{"as JSON, as Python writes it", jsonText(jsonOptions{comma: ", ", colon: ": ", ascii: true})},
		{"as JSON, as Python writes it, without escapes", jsonText(jsonOptions{comma: ", ", colon: ": "})},
		{"as JSON, as Python writes it, sorted", jsonText(jsonOptions{comma: ", ", colon: ": ", ascii: true, sorted: true})},
		{"as JSON, as PHP writes it", jsonText(jsonOptions{ascii: true, slashes: true})},
		{"as JSON with numbers as doubles", jsonText(jsonOptions{double: true})},
		{"as Python prints them", func(_ *style, v value) string { return string(pythonRepr(nil, v)) }},
		{"as JavaScript prints them ([object Object])", func(_ *style, v value) string { return javascriptText(v) }},
		{"as PHP prints them (Array)", func(*style, value) string { return "Array" }},
		{"as Go prints them (map[…])", func(_ *style, v value) string { return string(goText(nil, v)) }},
		{"as Ruby prints them", func(_ *style, v value) string { return string(rubyText(nil, v, "=>")) }},
		{"as Ruby 3.4 prints them", func(_ *style, v value) string { return string(rubyText(nil, v, " => ")) }},
		{"as Java prints them, without blanks", func(st *style, v value) string { return string(st.appendJavaMap(nil, v, "=", ",", false)) }},
		{"as Java prints them, sorted", func(st *style, v value) string { return string(st.appendJavaMap(nil, v, "=", ", ", true)) }},
		{"with colons in place of equals signs", func(st *style, v value) string { return string(st.appendJavaMap(nil, v, ":", ", ", false)) }},
		{"flattened to their values", func(st *style, v value) string { return string(flatten(nil, st, v, false, "", "")) }},
		{"flattened to their values, sorted", func(st *style, v value) string { return string(flatten(nil, st, v, true, "", "")) }},
		{"flattened to name=value&…", func(st *style, v value) string { return string(flatten(nil, st, v, false, "=", "&")) }},
		{"joined with commas", func(st *style, v value) string { return string(flatten(nil, st, v, false, "", ",")) }},
		{"as [object]", func(*style, value) string { return "[object]" }},
		{"as C# prints a type", func(*style, value) string { return "System.Object" }},
		{"as C# prints a dictionary's type", func(*style, value) string {
			return "System.Collections.Generic.Dictionary`2[System.String,System.Object]"
		}},
	}
}

func flatten(dst []byte, st *style, v value, sorted bool, equals, comma string) []byte {
	item := func(i int, name string, v value) {
		if i > 0 {
			dst = append(dst, comma...)
		}
		if equals != "" && name != "" {
			dst = append(append(dst, name...), equals...)
		}
		if v.kind == 'o' || v.kind == 'a' {
			dst = flatten(dst, st, v, sorted, equals, comma)
			return
		}
		dst = st.append(dst, v)
	}
	if v.kind == 'o' {
		order := make([]int, len(v.members))
		for i := range order {
			order[i] = i
		}
		if sorted {
			order = keyOrder(v.members)
		}
		for i, at := range order {
			item(i, v.members[at].name, v.members[at].value)
		}
		return dst
	}
	for i, it := range v.items {
		item(i, "", it)
	}
	return dst
}

// jsonOptions are how a JSON library writes.
type jsonOptions struct {
	sorted       bool
	ascii        bool // everything beyond ASCII as \u
	slashes      bool // / as \/
	double       bool // numbers as Java doubles
	comma, colon string
	indent       string
}

func (o jsonOptions) append(dst []byte, v value, depth int) []byte {
	comma, colon := o.comma, o.colon
	if comma == "" {
		comma = ","
	}
	if colon == "" {
		colon = ":"
	}
	line := func(depth int) {
		if o.indent != "" {
			dst = append(dst, '\n')
			dst = append(dst, strings.Repeat(o.indent, depth)...)
		}
	}
	switch v.kind {
	case 's':
		return o.quote(dst, v.text)
	case 'n':
		if o.double {
			return append(dst, numberJava(v.text)...)
		}
		return append(dst, v.text...)
	case 't':
		return append(dst, "true"...)
	case 'f':
		return append(dst, "false"...)
	case 'z':
		return append(dst, "null"...)
	case 'a':
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, comma...)
			}
			line(depth + 1)
			dst = o.append(dst, item, depth+1)
		}
		if len(v.items) > 0 {
			line(depth)
		}
		return append(dst, ']')
	}
	order := make([]int, len(v.members))
	for i := range order {
		order[i] = i
	}
	if o.sorted {
		order = keyOrder(v.members)
	}
	dst = append(dst, '{')
	for i, at := range order {
		if i > 0 {
			dst = append(dst, comma...)
		}
		line(depth + 1)
		dst = append(o.quote(dst, v.members[at].name), colon...)
		dst = o.append(dst, v.members[at].value, depth+1)
	}
	if len(order) > 0 {
		line(depth)
	}
	return append(dst, '}')
}

func (o jsonOptions) quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '/' && o.slashes:
			dst = append(dst, '\\', '/')
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < 0x20 || r > 0x7e && o.ascii:
			for _, u := range utf16.Encode([]rune{r}) {
				dst = append(dst, `\u`...)
				dst = append(dst, strings.ToLower(upperHex([]byte{byte(u >> 8), byte(u)}))...)
			}
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

func pythonRepr(dst []byte, v value) []byte {
	switch v.kind {
	case 's':
		quote := "'"
		if strings.Contains(v.text, "'") && !strings.Contains(v.text, `"`) {
			quote = `"`
		}
		return append(append(append(dst, quote...), strings.ReplaceAll(v.text, `\`, `\\`)...), quote...)
	case 't':
		return append(dst, "True"...)
	case 'f':
		return append(dst, "False"...)
	case 'z':
		return append(dst, "None"...)
	case 'n':
		return append(dst, v.text...)
	case 'a':
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = pythonRepr(dst, item)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, p := range v.members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = pythonRepr(dst, value{kind: 's', text: p.name})
		dst = append(dst, ": "...)
		dst = pythonRepr(dst, p.value)
	}
	return append(dst, '}')
}

func javascriptText(v value) string {
	switch v.kind {
	case 'o':
		return "[object Object]"
	case 'a':
		var parts []string
		for _, item := range v.items {
			if item.kind == 'z' {
				parts = append(parts, "")
				continue
			}
			parts = append(parts, javascriptText(item))
		}
		return strings.Join(parts, ",")
	case 'n':
		if f, err := strconv.ParseFloat(v.text, 64); err == nil {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
	case 't':
		return "true"
	case 'f':
		return "false"
	case 'z':
		return "null"
	}
	return v.text
}

func goText(dst []byte, v value) []byte {
	switch v.kind {
	case 'o':
		dst = append(dst, "map["...)
		for i, at := range keyOrder(v.members) {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(append(dst, v.members[at].name...), ':')
			dst = goText(dst, v.members[at].value)
		}
		return append(dst, ']')
	case 'a':
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = goText(dst, item)
		}
		return append(dst, ']')
	case 'n':
		if f, err := strconv.ParseFloat(v.text, 64); err == nil {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case 't':
		return append(dst, "true"...)
	case 'f':
		return append(dst, "false"...)
	case 'z':
		return append(dst, "<nil>"...)
	}
	return append(dst, v.text...)
}

func rubyText(dst []byte, v value, arrow string) []byte {
	switch v.kind {
	case 's':
		return strconv.AppendQuote(dst, v.text)
	case 't':
		return append(dst, "true"...)
	case 'f':
		return append(dst, "false"...)
	case 'z':
		return append(dst, "nil"...)
	case 'n':
		return append(dst, v.text...)
	case 'a':
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = rubyText(dst, item, arrow)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, p := range v.members {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = strconv.AppendQuote(dst, p.name)
		dst = append(dst, arrow...)
		dst = rubyText(dst, p.value, arrow)
	}
	return append(dst, '}')
}

// rawString returns what stands between the quotes of a string in src.
func rawString(src []byte, v value) string {
	if v.kind != 's' || v.end-v.at < 2 || v.end > len(src) {
		return v.text
	}
	return string(src[v.at+1 : v.end-1])
}

// jsonString returns s as encoding/json writes it, without its quotes.
func jsonString(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}
