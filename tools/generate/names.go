package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-playground/validator/v10"
)

const giveGoName = "give it an x-go-name in openapi/go.overlay.yaml"

// identifier is an exported Go name that everybody can type.
var identifier = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]*$`)

// methods are those of every generated type, and those of each kind of type:
// no field can have their names.
var (
	methods         = []string{"String", "Format", "LogValue", "MarshalJSON", "UnmarshalJSON", "UnmarshalMembers", "AdditionalProperties"}
	requestMethods  = []string{"Filled", "Order"}
	responseMethods = []string{"Order", "SetOrder", "EchoesOrder", "Pending", "SetPending", "Processing", "Misfits"}
	otherMethods    = []string{"Misfits"}
)

// memberNames refuses members whose names Go, or a reader without regard to case,
// would take for one, and names that a generated method has.
func (b *builder) memberNames(s *schema) {
	goNames := make(map[string]string)
	reserve := func(names []string) {
		for _, name := range names {
			goNames[name] = "what is generated"
		}
	}
	reserve(methods)
	switch {
	case s.Request:
		reserve(requestMethods)
	case s.Response:
		reserve(responseMethods)
	default:
		reserve(otherMethods)
	}
	folded := make(map[string]string)
	names := 0
	for _, m := range s.Members {
		goName := []string{m.GoName}
		if m.Respell {
			goName = append(goName, m.GoName+"Name")
		}
		for _, name := range goName {
			if other, ok := goNames[name]; ok {
				b.fault("%s.%s: has the Go name %s, as %s has: %s", s.Name, m.Name, name, other, giveGoName)
			}
			goNames[name] = m.Name
		}
		if !identifier.MatchString(m.GoName) {
			b.fault("%s.%s: %q is not an exported Go name of letters, digits and _: %s", s.Name, m.Name, m.GoName, giveGoName)
		}
		for _, name := range append([]string{m.Name}, m.Aliases...) {
			names++
			switch other, ok := folded[strings.ToLower(name)]; {
			case ok && other != m.Name:
				b.fault("%s.%s: %s is a name of %s already, or differs in case only: remove or rename one", s.Name, m.Name, name, other)
			case name == m.Name && slices.Contains(m.Aliases, name):
				b.fault("%s.%s: is an alias of itself: remove it from x-ottpay-aliases", s.Name, m.Name)
			}
			folded[strings.ToLower(name)] = m.Name
		}
	}
	if names > 255 {
		b.fault("schema %s: has %d names of members; the generated tables hold 255: split it", s.Name, names)
	}
}

// declarations refuses what would be declared twice in package api, and methods
// that the client has.
func (b *builder) declarations(root string) {
	taken := declaredIn(filepath.Join(root, "gen", "api"))
	take := func(what, name, cure string) {
		if other, ok := taken[name]; ok {
			b.fault("%s: its Go name %s is that of %s: %s", what, name, other, cure)
		}
		taken[name] = what
		if !identifier.MatchString(name) {
			b.fault("%s: %q is not an exported Go name of letters, digits and _: %s", what, name, cure)
		}
	}
	for _, role := range roles {
		taken["Role"+goName(role)] = "a role"
	}
	for _, s := range b.Schemas {
		take("schema "+s.Name, s.GoName, "rename the schema")
	}
	for _, c := range b.Codes {
		take("code "+c.Name, c.GoName, "the codes differ in spelling only: remove one")
	}
	for _, s := range b.Statuses {
		take("status "+s.Name, s.GoName, "the statuses differ in spelling only: remove one")
	}
	client := methodsOf(root, "Client")
	for _, a := range b.Actions {
		take("action "+a.Name, "Action"+a.GoName, "rename the action")
		if other, ok := client[a.Method]; ok {
			b.fault("action %s: the client's method %s is that of %s: %s", a.Name, a.Method, other, giveGoName)
		}
		client[a.Method] = "action " + a.Name
		if !identifier.MatchString(a.Method) {
			b.fault("action %s: %q is not an exported Go name of letters, digits and _: %s", a.Name, a.Method, giveGoName)
		}
	}
}

// handWritten parses the Go files of a directory that are neither generated nor
// tests. A directory that is not there has none.
func handWritten(dir string) []*ast.File {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var files []*ast.File
	for _, e := range entries {
		if name := e.Name(); isGoSource(e) && !strings.HasSuffix(name, ".gen.go") && !strings.HasSuffix(name, "_test.go") {
			// A file that does not parse is for the compiler to report.
			if f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution); err == nil {
				files = append(files, f)
			}
		}
	}
	return files
}

func isGoSource(e fs.DirEntry) bool { return !e.IsDir() && strings.HasSuffix(e.Name(), ".go") }

// declaredIn returns the names that the hand-written files of a package declare.
func declaredIn(dir string) map[string]string {
	names := make(map[string]string)
	for _, f := range handWritten(dir) {
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = "a function of package api"
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = "a type of package api"
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = "a constant or variable of package api"
						}
					}
				}
			}
		}
	}
	return names
}

// methodsOf returns the hand-written methods and fields of a type.
func methodsOf(dir, typeName string) map[string]string {
	names := make(map[string]string)
	for _, f := range handWritten(dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && receiver(n.Recv.List[0].Type) == typeName {
					names[n.Name.Name] = "a method of the client"
				}
				return false
			case *ast.TypeSpec:
				if st, ok := n.Type.(*ast.StructType); ok && n.Name.Name == typeName {
					for _, field := range st.Fields.List {
						for _, name := range field.Names {
							names[name.Name] = "a field of the client"
						}
					}
				}
				return false
			}
			return true
		})
	}
	return names
}

func receiver(expr ast.Expr) string {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if name, ok := expr.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// isTag reports whether go-playground/validator has a tag of this name.
func isTag(name string) (is bool) {
	defer func() {
		if recover() != nil {
			is = false // it panics over a tag that it does not know
		}
	}()
	_ = validator.New().Var("x", name)
	return true
}

var initialisms = map[string]string{"id": "ID", "url": "URL", "cc": "CC", "api": "API"}

// goName turns call_back_url, txnTime and H5Pay into CallBackURL, TxnTime and
// H5Pay.
func goName(name string) string {
	var words []string
	start := 0
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			words = append(words, string(runes[start:i]))
			start = i + 1
		case i > start && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			words = append(words, string(runes[start:i]))
			start = i
		}
	}
	words = append(words, string(runes[start:]))
	var b strings.Builder
	for _, word := range words {
		if short, ok := initialisms[strings.ToLower(word)]; ok {
			b.WriteString(short)
			continue
		}
		for i, r := range word {
			if i == 0 {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}
