package page

import (
	"slices"
	"strings"
	"unicode"
)

// Flag says whether a member is required.
type Flag string

// What a page may say in the column "Required". Another text is kept as it is.
const (
	Unsaid      Flag = ""
	Required    Flag = "Y"
	Optional    Flag = "N"
	Conditional Flag = "C"
)

var flags = map[string]Flag{
	"y": Required, "yes": Required, "m": Required, "mandatory": Required, "required": Required, "r": Required, "must": Required, "true": Required,
	"t": Required, "compulsory": Required, "obligatory": Required, "always": Required, "needed": Required, "必填": Required, "必须": Required,
	"必須": Required, "必传": Required, "必需": Required, "必要": Required, "必选": Required, "是": Required, "oui": Required, "obligatoire": Required,
	"requis": Required, "✓": Required, "✔": Required, "✅": Required, "☑": Required, "√": Required, "●": Required, "[x]": Required, "🟢": Required, "👍": Required,
	"n": Optional, "no": Optional, "o": Optional, "opt": Optional, "optional": Optional, "not required": Optional, "false": Optional, "f": Optional,
	"non": Optional, "facultatif": Optional, "optionnel": Optional, "否": Optional, "不": Optional, "选填": Optional, "可选": Optional, "選填": Optional,
	"可空": Optional, "非必填": Optional, "非必须": Optional, "非必需": Optional, "非必传": Optional, "不必填": Optional, "✗": Optional, "✘": Optional,
	"❌": Optional, "✖": Optional, "×": Optional, "○": Optional, "☐": Optional, "[ ]": Optional, "🔴": Optional, "not mandatory": Optional, "not needed": Optional,
	"c": Conditional, "conditional": Conditional, "depends": Conditional, "条件": Conditional, "条件必填": Conditional, "y/n": Conditional,
}

// weakFlags count only where a column is known to say what is required.
var weakFlags = map[string]Flag{"1": Required, "0": Optional, "-": Optional, "--": Optional, "—": Optional, "–": Optional, "x": Optional, "*": Required, "+": Required, "/": Optional}

// parseFlag reads a cell that says whether a member is required.
func parseFlag(cell string) (Flag, bool) {
	word := strings.ToLower(strings.TrimSpace(strings.ReplaceAll(cell, "\n", " ")))
	if f, ok := flags[word]; ok {
		return f, true
	}
	word = strings.TrimSpace(strings.Trim(word, "`*_\"'“”‘’()[].,;:!、。 "))
	if f, ok := flags[word]; ok {
		return f, true
	}
	// "Y (always)", "是(Y)", "✅ Yes": the first word decides.
	first := strings.FieldsFunc(word, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("(),;:/", r) })
	if len(first) > 1 && len(first) <= 4 && len(word) <= 24 {
		if f, ok := flags[first[0]]; ok && (len(first[0]) == 1 || first[0] == "yes" || first[0] == "no" || first[0][0] >= 0x80) {
			if _, again := flags[first[1]]; again || strings.ContainsAny(word, "(,;") {
				return f, true
			}
		}
	}
	return Unsaid, false
}

// parseWeakFlag reads a cell of the column that says what is required.
func parseWeakFlag(cell string) Flag {
	if f, ok := parseFlag(cell); ok {
		return f
	}
	word := strings.Trim(strings.ToLower(cell), "` ")
	if f, ok := weakFlags[word]; ok {
		return f
	}
	return Flag(strings.ReplaceAll(word, "\n", " "))
}

// role is what a column of a table holds.
type role int

const (
	noRole role = iota
	nameRole
	descriptionRole
	requiredRole
	notesRole
	typeRole
	lengthRole
	exampleRole
	indexRole
)

// headers are the words by which columns are known, lower case.
var headers = map[role][]string{
	nameRole: {"params name", "param name", "parameter name", "params", "param", "parameters", "parameter", "field name", "field", "fields", "name", "key",
		"member", "members", "attribute", "property", "variable", "element", "argument", "code", "rsp code", "response code", "error code", "return code",
		"参数名", "参数名称", "参数", "字段", "字段名", "字段名称", "名称", "属性", "变量名", "参数代码", "參數", "參數名稱", "欄位", "代码", "返回码", "错误码",
		"champ", "nom", "paramètre", "nom du paramètre"},
	descriptionRole: {"description", "descriptions", "desc", "explanation", "meaning", "label", "definition", "detail", "details", "title", "message", "descr",
		"描述", "说明", "參數說明", "参数描述", "参数说明", "含义", "中文名", "中文名称", "解释", "释义", "定义", "字段描述", "字段说明", "描述信息", "說明", "信息"},
	requiredRole: {"required", "require", "req", "mandatory", "must", "m/o", "r/o", "y/n", "required?", "is required", "required or not", "mandatory/optional", "required/optional",
		"presence", "obligatory", "compulsory", "necessity", "needed", "optional", "is optional", "optional?", "nullable",
		"必填", "是否必填", "必须", "是否必须", "必需", "是否必需", "必选", "是否必选", "必传", "是否必传", "必要", "必須", "是否必須", "必填项", "可选", "是否可选", "选填", "是否可空", "requis", "obligatoire"},
	notesRole: {"notes", "note", "remark", "remarks", "comment", "comments", "memo", "additional notes", "value", "values", "additional information", "info", "extra",
		"备注", "備註", "注释", "注意", "附注", "取值", "值", "备注说明", "其他", "补充说明", "remarques", "remarque", "commentaire"},
	typeRole:    {"type", "data type", "datatype", "format", "类型", "数据类型", "字段类型", "参数类型", "格式", "類型"},
	lengthRole:  {"length", "len", "max length", "maxlength", "max len", "max", "size", "长度", "最大长度", "字段长度", "長度", "longueur"},
	exampleRole: {"example", "examples", "sample", "sample value", "example value", "示例", "示例值", "样例", "例子", "举例", "exemple"},
	indexRole:   {"no", "no.", "#", "number", "index", "seq", "s/n", "sn", "序号", "编号", "№"},
}

// telling are the words by which a header of several words is known.
var telling = set("parameter", "parameters", "params", "param", "field", "description", "required", "mandatory", "optional", "must", "notes", "note", "remark",
	"remarks", "comment", "comments", "type", "length", "example", "sample", "explanation", "meaning")

// headerRole returns the role that a header's words give a column, and whether
// the column says the contrary, as one named "Optional" does.
func headerRole(cell string) (role, bool) {
	word := strings.ToLower(strings.Join(strings.FieldsFunc(cell, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/#№?.", r)
	}), " "))
	word = strings.TrimRight(word, ".?")
	if word == "" {
		return noRole, false
	}
	best, distance := noRole, 99
	var known string
	for _, r := range []role{nameRole, descriptionRole, requiredRole, notesRole, typeRole, lengthRole, exampleRole, indexRole} {
		for _, h := range headers[r] {
			h = strings.TrimRight(h, ".?")
			may := min(slips(h), distance-1)
			if n := len(word) - len(h); n > 3*may || -n > 3*may { // three bytes are a letter at most
				continue
			}
			if d := Edits(word, h); d <= may {
				best, distance, known = r, d, h
			}
		}
	}
	if best == noRole && len(strings.Fields(word)) <= 4 && !strings.ContainsAny(cell, ":=") { // a word among others, as in "Required (Y/N)" or "参数名称 Params"
		for _, r := range []role{requiredRole, lengthRole, typeRole, exampleRole, nameRole, descriptionRole, notesRole} {
			for _, h := range headers[r] {
				if distance > 0 && (telling[h] || h[0] >= 0x80) && containsWord(word, h) {
					best, distance, known = r, 0, h
				}
			}
		}
	}
	contrary := best == requiredRole && !strings.Contains(word, "requi") && !strings.Contains(word, "mand") &&
		slices.Contains([]string{"optional", "is optional", "nullable", "可选", "是否可选", "选填", "是否可空"}, known)
	return best, contrary
}

// slips is how many misprints a header may have.
func slips(h string) int {
	switch n := len([]rune(h)); {
	case h[0] >= 0x80 || n < 4:
		return 0
	case n < 6:
		return 1
	case n < 9:
		return 2
	}
	return 3
}

func containsWord(text, word string) bool {
	if word[0] >= 0x80 {
		return strings.Contains(text, word)
	}
	return strings.Contains(" "+text+" ", " "+word+" ")
}

// Edits is the number of characters to be inserted, deleted, replaced or
// exchanged with their neighbour that turns a into b.
func Edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before, last []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, last, row = last, row, make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(y)]
}
