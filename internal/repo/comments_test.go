package repo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// longest is how many lines the comment of a declaration may have. What is
// longer belongs on a page of docs. A package's comment has no limit.
const longest = 14

// described are the methods that need no sentence of their own: what they do is
// said by the standard library, and when by the comment of their type.
var described = map[string]bool{
	"Format": true, "String": true, "GoString": true, "Error": true, "LogValue": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true,
}

// TestComments: every exported name of the root module that is written by hand
// has a comment, and none is longer than a screen can hold beside its code.
func TestComments(t *testing.T) {
	inRoot(t)
	names := 0
	for _, file := range sources(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(f) {
			continue
		}
		c := comments{t: t, fset: fset}
		for _, d := range f.Decls {
			c.declaration(d)
		}
		names += c.names
	}
	if names < 1000 {
		t.Errorf("only %d names were read", names)
	}
}

// comments judges the comments of a file.
type comments struct {
	t     *testing.T
	fset  *token.FileSet
	names int
}

func (c *comments) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			c.name(d.Name, "", d.Doc)
		} else if of := receiver(d.Recv.List[0].Type); ast.IsExported(of) && !described[d.Name.Name] {
			c.name(d.Name, of+".", d.Doc)
		}
	case *ast.GenDecl:
		c.short(d.Doc)
		group := d.Doc
		if d.Lparen.IsValid() { // it speaks of the whole group
			group = nil
		}
		for _, s := range d.Specs {
			c.spec(s, group)
		}
	}
}

// spec judges a type, a constant or a variable. group is the declaration's
// comment if it is the name's own.
func (c *comments) spec(s ast.Spec, group *ast.CommentGroup) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		c.name(s.Name, "", s.Doc, s.Comment, group)
		if s.Name.IsExported() {
			c.members(s.Name.Name+".", s.Type)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			c.name(name, "", s.Doc, s.Comment, group)
		}
	}
}

// members judges the fields of a struct and the methods of an interface.
func (c *comments) members(of string, t ast.Expr) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			c.name(name, of, field.Doc, field.Comment)
			if name.IsExported() {
				c.members(of+name.Name+".", field.Type)
			}
		}
	}
}

// name judges a name by its comments, of which any may be nil.
func (c *comments) name(name *ast.Ident, of string, all ...*ast.CommentGroup) {
	said := false
	for _, comment := range all {
		c.short(comment)
		said = said || strings.TrimSpace(comment.Text()) != ""
	}
	if !name.IsExported() {
		return
	}
	c.names++
	if !said {
		c.t.Errorf("%s: %s%s has no comment", c.fset.Position(name.Pos()), of, name.Name)
	}
}

func (c *comments) short(comment *ast.CommentGroup) {
	if comment == nil {
		return
	}
	if from, to := c.fset.Position(comment.Pos()), c.fset.Position(comment.End()); to.Line-from.Line >= longest {
		c.t.Errorf("%s: a comment of %d lines: move what is not contract to a page of docs, and link to it", from, to.Line-from.Line+1)
	}
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// sources lists the files of the root module's public packages.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				files = append(files, name)
			}
			return nil
		case name == ".":
			return nil
		case d.Name() == "internal", d.Name() == "testdata", strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil { // another module
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
