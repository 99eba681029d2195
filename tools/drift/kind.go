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

// Text explains a kind in one sentence.
func (k Kind) Text() string {
	switch k {
	case MemberAdded:
		return "A table has a member that the schema lacks."
	case MemberRemoved:
		return "A table lacks a member that the schema has."
	case MemberRenamed:
		return "A member stands under another name."
	case RequiredChange:
		return "A member is required on the page and optional in the document, or the other way round."
	case ConstantChange:
		return "A member admits other values."
	case VersionChange:
		return "The action has another version."
	case ActionChange:
		return "The page of an action names another action, and is the same otherwise."
	case CodeAdded:
		return "A table or an example has a response code that the document lacks."
	case CodeRemoved:
		return "The page of the response codes lacks one that the document has."
	case LengthChange:
		return "A member may be longer or shorter."
	case TypeChange:
		return "A member has another JSON type."
	case ExampleInvalid:
		return "An example has a value that the schema refuses, or lacks a member that the schema requires."
	case ExampleUnknownMember:
		return "An example has a member that the schema lacks."
	case PageUnreadable:
		return "The page is empty, cut off, an error page or not a page of parameters. Nothing was compared."
	case PageWithoutSchema:
		return "The page describes an action that the document lacks."
	case SchemaWithoutPage:
		return "A page lacks the table of a schema or, with --all, no page describes the schema."
	case WordingChange:
		return "A description or a note has other words. Reported with --wording only."
	}
	return ""
}

// Decidable reports whether a decision in the document may be about a kind.
func (k Kind) Decidable() bool {
	return slices.Contains(Kinds(), k) && k != PageUnreadable && k != WordingChange
}
