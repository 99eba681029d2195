package page

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cells returns the cells of a row that may say something about values, those
// first that usually do.
func (p Param) cells() []string { return []string{p.Notes, p.Description, p.Length, p.Type} }

// Words returns all that the row says besides name and flag.
func (p Param) Words() string { return strings.TrimSpace(p.Description + "\n" + p.Notes) }

// Constants returns the values that a row admits, if it lists them: one for a
// constant, several for an enumeration. With bare, a word without quotes
// counts too, because the member is known to be a constant.
func (p Param) Constants(bare bool) []string {
	for _, strict := range []bool{true, false} {
		if !strict && !bare {
			break
		}
		for i, cell := range p.cells() {
			if i == 1 && !strict {
				continue // a description of one word is no constant
			}
			for _, clause := range clauses(cell) {
				if found := constants(clause, !strict); len(found) > 0 {
					return found
				}
			}
		}
	}
	return nil
}

// clauses splits a cell into its lines and sentences.
func clauses(cell string) []string {
	return strings.Split(strings.ReplaceAll(cell, ". ", "\n"), "\n")
}

// Mentions reports whether a row has the word somewhere.
func (p Param) Mentions(word string) bool {
	for _, cell := range p.cells() {
		for _, w := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" \t\n,;/|()[]{}\"'“”‘’`「」«»:=、", r) }) {
			if strings.Trim(w, ".!?*") == word || w == word {
				return true
			}
		}
	}
	return false
}

const (
	quotes    = "\"'“”„‟″‘’‚`´«»「」『』"
	quotedOne = `["'“”„‟″‘’‚` + "`" + `´«»「」『』]+\s*([^"'“”„‟″‘’‚` + "`" + `´«»「」『』]{1,64}?)\s*["'“”„‟″‘’‚` + "`" + `´«»「」『』]+`
)

var (
	quoted        = regexp.MustCompile(`^` + quotedOne)
	constantLabel = regexp.MustCompile(`(?i)^(?:the\s+)?(?:constant|const|fixed|fix|always|only|must be|should be|shall be|value is|value|values|one of|either|enum|enumeration|default|equals?|is|set to|use|固定值|固定为|固定|常量|取值|值为|值|填|传|枚举|可选值|默认)(?:\s+(?:values?|string|is|to|be|of|为|是))*\s*[:=：]?\s*`)
	separator     = regexp.MustCompile(`^\s*(?:[,;/|、+]|\bor\b|\band\b|或|和)+\s*`)
	bareList      = regexp.MustCompile(`^[A-Z0-9][A-Z0-9_.\-]*(?:\s*[/|]\s*[A-Z0-9][A-Z0-9_.\-]*)+(?:$|[\s,;.(、])`)
	bareWord      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$`)
	bareCapitals  = regexp.MustCompile(`^[A-Z][A-Z0-9_.\-]{2,63}$`)
	dateLetters   = regexp.MustCompile(`^[YMDHSymdhsaTZ:/.\-\s]+$`)
	afterConstant = regexp.MustCompile(`^\s*(?:$|[.,;:(（)!]|\(|-\s|–|—|only\b|\bconstant\b|\bfixed\b|\n)`)
)

// constants reads a cell that consists of constants, or begins with them.
func constants(cell string, bare bool) []string {
	text := strings.TrimSpace(cell)
	labelled := false
	for {
		m := constantLabel.FindString(text)
		if m == "" || len(m) == len(text) || len(m) > 0 && isWordByte(m[len(m)-1]) && isWordByte(text[len(m)]) {
			break
		}
		text, labelled = text[len(m):], true
	}
	var out []string
	rest := text
	for {
		m := quoted.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		out = append(out, strings.TrimSpace(rest[m[2]:m[3]]))
		rest = rest[m[1]:]
		s := separator.FindString(rest)
		if s == "" || quoted.FindString(rest[len(s):]) == "" {
			break
		}
		rest = rest[len(s):]
	}
	if len(out) > 0 {
		if !afterConstant.MatchString(rest) || len(out) == 1 && strings.Contains(out[0], " ") && !labelled && rest != "" {
			return nil
		}
		return out
	}
	if m := bareList.FindString(text); m != "" && !dateLetters.MatchString(strings.TrimRight(m, " ,;.(、")) {
		for _, v := range strings.FieldsFunc(m, func(r rune) bool { return strings.ContainsRune("/| \t,;(、", r) }) {
			out = append(out, strings.TrimRight(v, "."))
		}
		if len(out) > 1 && !slices.ContainsFunc(out, func(v string) bool { return len(v) < 2 }) {
			return out
		}
		return nil
	}
	word := strings.TrimRight(text, ".;, ")
	if (bare || labelled && bareCapitals.MatchString(word)) && bareWord.MatchString(word) && !isFlag(word) && !dateLetters.MatchString(word) && typeWords[strings.ToLower(word)] == "" && !strings.EqualFold(word, "N/A") && !strings.EqualFold(word, "null") {
		return []string{word}
	}
	if bare || labelled {
		return wordList(text)
	}
	return nil
}

// wordList reads a list of words without quotes: WECHATPAY, ALIPAY or UNIONPAY.
func wordList(text string) []string {
	var out []string
	rest := strings.TrimRight(text, ".; ")
	for {
		m := regexp.MustCompile(`^[A-Z][A-Za-z0-9_.\-]+`).FindString(rest)
		if m == "" || strings.ToUpper(m) != m {
			return nil
		}
		out = append(out, m)
		rest = rest[len(m):]
		if rest == "" || afterConstant.MatchString(rest) && !separator.MatchString(rest) {
			break
		}
		s := separator.FindString(rest)
		if s == "" {
			return nil
		}
		if rest = rest[len(s):]; !regexp.MustCompile(`^[A-Z][A-Z0-9_.\-]+(\s*$|[\s,;/|、.(])`).MatchString(rest) {
			break
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// typeWords maps the names of types onto those of JSON.
var typeWords = map[string]string{
	"string": "string", "str": "string", "strings": "string", "varchar": "string", "char": "string", "nvarchar": "string", "text": "string", "alphanumeric": "string",
	"an": "string", "ans": "string", "字符串": "string", "字符": "string", "文本": "string", "字符型": "string", "文字列": "string", "chaîne": "string",
	"integer": "integer", "int": "integer", "long": "integer", "bigint": "integer", "int32": "integer", "int64": "integer", "short": "integer", "整数": "integer", "整型": "integer", "整形": "integer", "长整型": "integer", "entier": "integer",
	"number": "number", "numeric": "number", "decimal": "number", "float": "number", "double": "number", "num": "number", "bigdecimal": "number", "数字": "number", "数值": "number", "数值型": "number", "数字型": "number", "浮点数": "number", "nombre": "number",
	"boolean": "boolean", "bool": "boolean", "布尔": "boolean", "布尔值": "boolean", "布尔型": "boolean",
	"object": "object", "json": "object", "json object": "object", "jsonobject": "object", "map": "object", "对象": "object", "objet": "object",
	"array": "array", "list": "array", "数组": "array", "列表": "array", "json array": "array",
}

// columnTypes are words that name a type only in a column for types.
var columnTypes = set("an", "ans", "text", "map", "list", "long", "short", "json", "num", "char", "array", "object")

var (
	typeClause = regexp.MustCompile(`(?i)^(?:(?:data\s*)?type\s*(?:is|[:=：])?\s*|类型\s*(?:为|[:：])?\s*|as\s+an?\s+|an?\s+)?([\p{L}]+[0-9]*)(?:\s+(?:type|value|型))?(?:\s*(?:[(\[{<,;.:]|$)|\.\.)`)
	typeJoin   = regexp.MustCompile(`(?i)\s*(?:/|\||,|\bor\b|或)\s*`)
	typeSized  = regexp.MustCompile(`(?i)^([\p{L} ]+?)\s*[(\[]?\s*[0-9.,\s-]*\s*[)\]]?$`)
)

// Types returns what a row says about the JSON types of its member, one list for
// each time that it says something: a column for types and the notes may differ.
func (p Param) Types() [][]string {
	var out [][]string
	if found := types(p.Type, true); found != nil {
		out = append(out, found)
	}
	for i, cell := range []string{p.Notes, p.Description} {
		if i == 1 && !strings.ContainsAny(cell, " (,") {
			continue // a member may be described as "Number"
		}
		for _, clause := range strings.FieldsFunc(strings.ReplaceAll(cell, ". ", "\n"), func(r rune) bool { return r == '\n' || r == ';' || r == '。' }) {
			if found := types(clause, false); found != nil {
				out = append(out, found)
			}
		}
	}
	return out
}

func types(text string, column bool) []string {
	text = strings.TrimSpace(strings.Trim(text, quotes+" "))
	if text == "" {
		return nil
	}
	var out []string
	parts := typeJoin.Split(text, -1)
	for i, part := range parts {
		part = strings.TrimSpace(part)
		word := strings.ToLower(part)
		if m := typeSized.FindStringSubmatch(part); m != nil && column {
			word = strings.ToLower(strings.TrimSpace(m[1]))
		}
		t := typeWords[word]
		if t == "" {
			if m := typeClause.FindStringSubmatch(part); m != nil {
				word = strings.ToLower(m[1])
				t = typeWords[word]
			}
		}
		if columnTypes[word] && !column {
			t = ""
		}
		if t == "" {
			if column && i == 0 {
				continue
			}
			break
		}
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// lengthForms say how long a value may be. The last group that matched is the
// greatest length.
var lengthForms = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:string|str|varchar|nvarchar|char|text|int|integer|number|numeric|decimal|long|an|ans|a|n)\s*[(\[{<]\s*(?:[0-9]+\s*(?:-|–|~|\.\.|to|,)\s*)?([0-9]{1,5})\s*[)\]}>]`),
	regexp.MustCompile(`(?i)\b(?:an|ans|a|n)\.{2,3}\s*([0-9]{1,5})\b`),
	regexp.MustCompile(`(?i)\b(?:an|ans)([0-9]{1,4})\b`),
	regexp.MustCompile(`(?i)(?:字符串|字符|文本|整数|数字|字符型)\s*[(\[]\s*(?:[0-9]+\s*[-–~]\s*)?([0-9]{1,5})\s*[)\]]`),
	regexp.MustCompile(`(?i)\b(?:max(?:imum|imal)?\.?|maximally|at most|up to|no more than|not more than|no longer than|not longer than|not exceed(?:ing)?|not to exceed|limited to|limit(?: of)?|within|less than or equal to|shorter than or equal to|<=|≤)\s*(?:a\s+)?(?:length|len|size|long|characters?|chars?|digits?)?\s*(?:limit)?\s*(?:is|of|to|:|=|<=|≤|：)?\s*(?:of\s+)?\(?\s*([0-9]{1,5})\b(?:\s*(?:characters?|chars?|digits?|letters?|bytes?|symbols?|long|in length|$|[).,;])|\s*$)`),
	regexp.MustCompile(`(?i)(?:<=|≤)\s*([0-9]{1,5})\s*(?:characters?|chars?|digits?|letters?|bytes?|$|[).,;])`),
	regexp.MustCompile(`(?i)\b(?:length|len|size|maxlength|max_length)\s*(?:limit|range)?\s*(?:must be|should be|is|of|:|=|≤|<=|<|：|between|from|within|not exceed)*\s*(?:\(?\s*[0-9]+\s*(?:-|–|~|\.\.|to|and|,)\s*)?\(?\s*([0-9]{1,5})\b`),
	regexp.MustCompile(`(?i)\b(?:[0-9]+\s*(?:-|–|~|to|and)\s*)?([0-9]{1,5})\s*[- ]?(?:characters?|chars?|digits?|letters?|bytes?|symbols?)\b`),
	regexp.MustCompile(`(?:最大长度|最长|长度限制|长度|不超过|最多|不大于|小于等于|限长|限)\s*(?:为|是|不超过|:|：|≤|<=)*\s*(?:[0-9]+\s*[-–~至到]\s*)?([0-9]{1,5})`),
	regexp.MustCompile(`([0-9]{1,5})\s*(?:位|个字符|字符|字节|个字)`),
}

var lengthCell = regexp.MustCompile(`^\s*(?:[≤<=]*\s*)?(?:[0-9]+\s*(?:-|–|~|\.\.|to|,)\s*)?([0-9]{1,5})\s*(?:\)|characters?|chars?|位)?\s*$`)

// MaxLength returns the greatest length that a row names; false if it names
// none.
func (p Param) MaxLength() (int, bool) {
	if m := lengthCell.FindStringSubmatch(p.Length); m != nil {
		n, err := strconv.Atoi(m[1])
		return n, err == nil
	}
	for _, cell := range []string{p.Type, p.Notes, p.Description, p.Length} {
		for _, form := range lengthForms {
			if m := form.FindStringSubmatch(cell); m != nil {
				if n, err := strconv.Atoi(m[len(m)-1]); err == nil && n > 0 {
					return n, true
				}
			}
		}
	}
	return 0, false
}
