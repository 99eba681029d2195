// Package openapi holds the document from which the kit is generated, for
// programs that read it: the tools that compare it with the vendor's pages, and
// generators of a shop's own types.
package openapi

import _ "embed"

//go:embed ottpay.yaml
var document []byte

//go:embed wording.yaml
var wording []byte

// Document returns ottpay.yaml. The caller owns the bytes.
func Document() []byte { return append([]byte(nil), document...) }

// Wording returns wording.yaml: the vendor's words about each member, as they
// were when the pages were last read. The caller owns the bytes.
func Wording() []byte { return append([]byte(nil), wording...) }
