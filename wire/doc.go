// Package wire reads and writes the JSON of OTT Pay's messages, strictly. It is
// for generated code, a shop's own included, and for the packages around it; a
// program that handles payments does not need it.
//
// [Parse] reads one object and indexes its members. A [Reader] walks them, a
// [Writer] writes them, and a [Decoder] puts them into a struct.
//
// # Why not encoding/json
//
// The digest of a message covers the values alone, so two readers that disagree
// about a message disagree about money. encoding/json keeps the last of two
// members of one name, matches names without regard to case, and replaces
// invalid UTF-8. This package refuses such a message: see [Parse] for the rules.
// No other package of the module decides where a JSON value ends.
package wire
