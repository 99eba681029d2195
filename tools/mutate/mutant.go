package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one change of the code.
type mutant struct {
	id       int
	file     string // relative to the package
	function string
	line     int
	was      string // the source text
	kind     string // the change in words
	state    state
	by       string // the test that noticed
}

type state int

const (
	unreached state = iota // no test runs the line
	survived
	killed
)

// edit replaces source text between two offsets.
type edit struct {
	from, to int
	text     string
}

// instrument writes the mutants of a file into its source.
type instrument struct {
	pkg  *pkg
	name string
	src  []byte
	file *ast.File

	function string
	edits    []edit
	skip     map[ast.Node]bool
	parent   map[ast.Node]ast.Node
}

// mutate returns the instrumented source of a file.
func (p *pkg) mutate(name string, file *ast.File, src []byte) ([]byte, error) {
	in := &instrument{pkg: p, name: name, src: src, file: file, skip: map[ast.Node]bool{}, parent: map[ast.Node]ast.Node{}}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		in.function = fn.Name.Name
		in.walk(fn.Body)
	}
	return format.Source(in.apply())
}

// apply makes the edits. One inside another is made first: an edit's text is
// made by render, which holds those inside.
func (in *instrument) apply() []byte { return in.render(0, len(in.src)) }

// render is the source between two offsets with all edits within.
func (in *instrument) render(from, to int) []byte {
	var out bytes.Buffer
	at := from
	inside := in.within(from, to)
	for _, e := range inside {
		out.Write(in.src[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(in.src[at:to])
	return out.Bytes()
}

// within returns the outermost edits in a range, in order.
func (in *instrument) within(from, to int) []edit {
	var found []edit
	for _, e := range in.edits {
		if e.from >= from && e.to <= to {
			found = append(found, e)
		}
	}
	// The longer of two that begin together holds the other.
	slices.SortStableFunc(found, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	var outer []edit
	end := -1
	for _, e := range found {
		if e.from >= end {
			outer = append(outer, e)
			end = e.to
		}
	}
	return outer
}

func (in *instrument) offset(pos token.Pos) int { return in.pkg.fset.Position(pos).Offset }

func (in *instrument) text(n ast.Node) string {
	return string(in.src[in.offset(n.Pos()):in.offset(n.End())])
}

// new notes a mutant and returns its number. A literal is named by what it is
// part of: alone it says nothing.
func (in *instrument) new(n ast.Node, kind string) int {
	id := len(in.pkg.mutants) + 1
	whole := n
	if _, literal := n.(*ast.BasicLit); literal {
		whole = in.parent[n]
	}
	was := strings.Join(strings.Fields(in.text(whole)), " ")
	if len(was) > 100 {
		was = was[:100] + "…"
	}
	in.pkg.mutants = append(in.pkg.mutants, &mutant{
		id: id, file: in.name, function: in.function,
		line: in.pkg.fset.Position(n.Pos()).Line, was: was, kind: kind,
	})
	return id
}

// replace makes an edit of a whole node. Children must have been walked before.
func (in *instrument) replace(n ast.Node, text string) {
	from, to := in.offset(n.Pos()), in.offset(n.End())
	in.edits = slices.DeleteFunc(in.edits, func(e edit) bool { return e.from >= from && e.to <= to })
	in.edits = append(in.edits, edit{from, to, text})
}

// inner is the text of a node with the edits of its children.
func (in *instrument) inner(n ast.Node) string {
	return string(in.render(in.offset(n.Pos()), in.offset(n.End())))
}

// walk instruments a tree from the leaves up.
func (in *instrument) walk(root ast.Node) {
	var nodes, path []ast.Node
	ast.Inspect(root, func(n ast.Node) (inside bool) {
		if n == nil {
			path = path[:len(path)-1]
			return false
		}
		if len(path) > 0 {
			in.parent[n] = path[len(path)-1]
		}
		defer func() {
			if inside {
				path = append(path, n)
			}
		}()
		switch d := n.(type) {
		case *ast.GenDecl: // constants and types stay
			if d.Tok == token.CONST || d.Tok == token.TYPE {
				return false
			}
		case *ast.ArrayType: // its length is a constant
			return false
		case *ast.LabeledStmt: // a dropped statement would lose its label
			in.skip[d.Stmt] = true
		case *ast.CaseClause:
			for _, e := range d.List { // cases of constants must stay distinct
				if tv := in.pkg.info.Types[e]; tv.Value != nil || tv.IsType() {
					in.skipAll(e)
				}
			}
		case *ast.ForStmt: // its post statement is no block
			if d.Post != nil {
				in.skip[d.Post] = true
			}
			if d.Init != nil {
				in.skip[d.Init] = true
			}
		case *ast.IfStmt:
			if d.Init != nil {
				in.skip[d.Init] = true
			}
		case *ast.SwitchStmt:
			if d.Init != nil {
				in.skip[d.Init] = true
			}
		case *ast.TypeSwitchStmt:
			in.skip[d.Assign] = true
			if d.Init != nil {
				in.skip[d.Init] = true
			}
		case *ast.CommClause:
			if d.Comm != nil {
				in.skip[d.Comm] = true
			}
		}
		nodes = append(nodes, n)
		return true
	})
	slices.Reverse(nodes) // children after parents become children first
	for _, n := range nodes {
		if in.skip[n] {
			continue
		}
		switch n := n.(type) {
		case *ast.BinaryExpr:
			in.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.NOT && in.isBool(n) {
				in.choose(n, "bool", [][2]string{{"! dropped", in.inner(n.X)}})
			}
		case *ast.BasicLit:
			in.literal(n)
		case *ast.IfStmt:
			in.condition(n.Cond)
		case *ast.ExprStmt:
			in.drop(n)
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				in.drop(n)
			}
		case *ast.IncDecStmt:
			in.drop(n)
		case *ast.SendStmt:
			in.drop(n)
		case *ast.DeferStmt:
			in.drop(n)
		case *ast.ReturnStmt:
			in.results(n)
		}
	}
}

func (in *instrument) skipAll(root ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n != nil {
			in.skip[n] = true
		}
		return true
	})
}

func (in *instrument) isBool(e ast.Expr) bool {
	tv, ok := in.pkg.info.Types[e]
	if !ok || tv.Value != nil {
		return false
	}
	b, ok := tv.Type.(*types.Basic)
	return ok && (b.Kind() == types.Bool || b.Kind() == types.UntypedBool)
}

// choose replaces an expression by one that has a form for each mutant. The
// forms stand in a closure, in which recover would return nil: an expression
// that calls it is left as it is.
func (in *instrument) choose(e ast.Expr, typ string, forms [][2]string) {
	if recovers(e) {
		return
	}
	var out strings.Builder
	fmt.Fprintf(&out, "func() %s { ", typ)
	for _, form := range forms {
		fmt.Fprintf(&out, "if mutantOn(%d) { return %s }; ", in.new(e, form[0]), form[1])
	}
	fmt.Fprintf(&out, "return %s }()", in.inner(e))
	in.replace(e, out.String())
}

// recovers reports whether an expression calls recover itself, and not in a
// function literal.
func recovers(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "recover" {
				found = true
			}
		}
		return !found
	})
	return found
}

var bounds = map[token.Token][]string{
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"}, token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.EQL: {"!="}, token.NEQ: {"=="},
}

var sums = map[token.Token]string{token.ADD: "-", token.SUB: "+", token.MUL: "/", token.REM: "*"}

func (in *instrument) binary(n *ast.BinaryExpr) {
	x, y := in.inner(n.X), in.inner(n.Y)
	switch n.Op {
	case token.LAND, token.LOR:
		if !in.isBool(n) {
			return
		}
		other := "||"
		if n.Op == token.LOR {
			other = "&&"
		}
		in.choose(n, "bool", [][2]string{
			{"only the left term", x}, {"only the right term", y}, {n.Op.String() + " is " + other, "(" + x + ") " + other + " (" + y + ")"},
		})
	case token.LSS, token.LEQ, token.GTR, token.GEQ, token.EQL, token.NEQ:
		if !in.isBool(n) {
			return
		}
		var forms [][2]string
		for _, op := range bounds[n.Op] {
			forms = append(forms, [2]string{n.Op.String() + " is " + op, "(" + x + ") " + op + " (" + y + ")"})
		}
		in.choose(n, "bool", forms)
	case token.ADD, token.SUB, token.MUL, token.REM:
		typ, ok := in.number(n)
		if ok {
			in.choose(n, typ, [][2]string{{n.Op.String() + " is " + sums[n.Op], "(" + x + ") " + sums[n.Op] + " (" + y + ")"}})
		}
	}
}

// number returns the name of an expression's type if it is a basic integer that
// is no constant.
func (in *instrument) number(e ast.Expr) (string, bool) {
	tv, ok := in.pkg.info.Types[e]
	if !ok || tv.Value != nil {
		return "", false
	}
	b, ok := tv.Type.(*types.Basic)
	if !ok || b.Info()&types.IsInteger == 0 || b.Info()&types.IsUntyped != 0 {
		return "", false
	}
	return b.Name(), true
}

// literal changes an integer by one. A literal within a constant expression is
// left: its value may be needed at compile time.
func (in *instrument) literal(n *ast.BasicLit) {
	tv, ok := in.pkg.info.Types[n]
	if !ok || n.Kind != token.INT || in.pkg.constant[n] {
		return
	}
	b, ok := tv.Type.(*types.Basic)
	if !ok || b.Info()&types.IsInteger == 0 || b.Info()&types.IsUntyped != 0 {
		return
	}
	if b.Kind() == types.Uint8 && n.Value == "255" {
		return
	}
	in.choose(n, b.Name(), [][2]string{{n.Value + " is one more", n.Value + " + 1"}})
}

func (in *instrument) condition(e ast.Expr) {
	if !in.isBool(e) {
		return
	}
	in.choose(e, "bool", [][2]string{{"if true", "true"}, {"if false", "false"}})
}

// drop leaves a statement out.
func (in *instrument) drop(n ast.Stmt) {
	if call, ok := n.(*ast.ExprStmt); ok {
		if c, ok := call.X.(*ast.CallExpr); ok {
			if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "panic" {
				return // what follows may rest on it
			}
		}
	}
	in.replace(n, fmt.Sprintf("if !mutantOn(%d) { %s }", in.new(n, "dropped"), in.inner(n)))
}

// results returns the zero value in place of each result.
func (in *instrument) results(n *ast.ReturnStmt) {
	if len(n.Results) == 0 {
		return
	}
	for _, e := range n.Results {
		tv, ok := in.pkg.info.Types[e]
		if !ok || tv.Value != nil || tv.IsNil() {
			continue
		}
		if lit, composite := e.(*ast.CompositeLit); composite && len(lit.Elts) == 0 && isStruct(tv.Type) {
			continue // it is zero already
		}
		if _, several := tv.Type.(*types.Tuple); several {
			continue
		}
		if b, basic := tv.Type.(*types.Basic); basic && b.Info()&types.IsUntyped != 0 {
			if b.Kind() != types.UntypedBool {
				continue
			}
			in.choose(e, "bool", [][2]string{{"result is zero", "false"}})
			continue
		}
		in.replace(e, fmt.Sprintf("mutantZero(%d, %s)", in.new(e, "result is zero"), in.inner(e)))
	}
}

func isStruct(t types.Type) bool {
	_, is := t.Underlying().(*types.Struct)
	return is
}

// constants finds the literals that belong to a constant expression.
func constants(info *types.Info, files []*ast.File) map[*ast.BasicLit]bool {
	found := map[*ast.BasicLit]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			if _, lit := e.(*ast.BasicLit); lit {
				return true
			}
			if tv, ok := info.Types[e]; ok && tv.Value != nil {
				ast.Inspect(e, func(n ast.Node) bool {
					if l, ok := n.(*ast.BasicLit); ok {
						found[l] = true
					}
					return true
				})
			}
			// The operand of a shift, an index of an array and a slice bound
			// may be checked by the compiler.
			if s, ok := e.(*ast.BinaryExpr); ok && (s.Op == token.SHL || s.Op == token.SHR) {
				for _, x := range []ast.Expr{s.X, s.Y} {
					if l, ok := x.(*ast.BasicLit); ok {
						found[l] = true
					}
				}
			}
			return true
		})
		ast.Inspect(f, func(n ast.Node) bool { // keys of array literals
			if kv, ok := n.(*ast.KeyValueExpr); ok {
				if l, ok := kv.Key.(*ast.BasicLit); ok {
					found[l] = true
				}
			}
			return true
		})
	}
	return found
}

// runtimeFile is added to the instrumented package.
const runtimeFile = `package %s

import (
	mutantOS "os"
	mutantConv "strconv"
	mutantSync "sync"
)

var (
	mutantID, _ = mutantConv.Atoi(mutantOS.Getenv("MUTANT"))
	mutantLog   = mutantOS.Getenv("MUTANT_LOG")
	mutantMu    mutantSync.Mutex
	mutantSeen  = map[int]bool{}
)

// mutantOn reports whether the mutant is the one that runs, and notes in a
// recording that it was reached.
func mutantOn(id int) bool {
	if mutantLog != "" {
		mutantReach(id)
	}
	return id == mutantID
}

func mutantReach(id int) {
	mutantMu.Lock()
	defer mutantMu.Unlock()
	if mutantSeen[id] {
		return
	}
	mutantSeen[id] = true
	f, err := mutantOS.OpenFile(mutantLog, mutantOS.O_APPEND|mutantOS.O_CREATE|mutantOS.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(mutantConv.Itoa(id) + "\n")
	_ = f.Close()
}

func mutantZero[T any](id int, v T) T {
	if mutantOn(id) {
		var zero T
		return zero
	}
	return v
}
`

func writeFile(dir, name string, src []byte) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, src, 0o600)
}

func parse(fset *token.FileSet, path string) (*ast.File, []byte, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
	return f, src, err
}
