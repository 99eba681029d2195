// Package drift compares the vendor's pages with the document from which the kit
// is generated.
package drift

import "slices"

// Kind is what a finding is about.
type Kind string

// The kinds, a closed list. docs/when-the-docs-change.md explains each.
const (
	MemberAdded    Kind = "member-added"
	MemberRemoved  Kind = "member-removed"
	MemberRenamed  Kind = "member-renamed"
	RequiredChange Kind = "required-changed"
	ConstantChange Kind = "constant-changed"
	VersionChange  Kind = "version-changed"
	ActionChange   Kind = "action-changed"
	CodeAdded      Kind = "code-added"
	CodeRemoved    Kind = "code-removed"
	LengthChange   Kind = "length-changed"
	TypeChange     Kind = "type-changed"
	// ExampleInvalid is an example with a value that the schema refuses, or
	// without a member that the schema requires.
	ExampleInvalid       Kind = "example-invalid"
	ExampleUnknownMember Kind = "example-unknown-member"
	PageUnreadable       Kind = "page-unreadable"
	PageWithoutSchema    Kind = "page-without-schema"
	SchemaWithoutPage    Kind = "schema-without-page"
	// WordingChange is reported on request only.
	WordingChange Kind = "wording-changed"
)

// Kinds returns all kinds, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		MemberAdded, MemberRemoved, MemberRenamed, RequiredChange, ConstantChange, VersionChange, ActionChange, CodeAdded, CodeRemoved,
		LengthChange, TypeChange, ExampleInvalid, ExampleUnknownMember, PageUnreadable, PageWithoutSchema, SchemaWithoutPage, WordingChange,
	}
}

// Decidable reports whether a decision in the document may be about a kind.
func (k Kind) Decidable() bool {
	return slices.Contains(Kinds(), k) && k != PageUnreadable && k != WordingChange
}
