// Package bench measures the kit beside other ways to do the same work: the
// verification of other vendors' webhooks, and the obvious way to open OTT
// Pay's envelope. The rows are functions, so that `go test -bench` and the
// program report measure the same code. docs/performance.md holds the figures.
package bench

import "testing"

// Row is one line of a comparison. Every row of a group does the same work.
type Row struct {
	// Name is that of the library, or says what the row is.
	Name string
	// Note says what a reader must know to compare it fairly.
	Note string
	// Run is the benchmark.
	Run func(b *testing.B)
}

// Group is a comparison: the same work, done by the kit and by others.
type Group struct {
	Name  string // of the benchmark
	Title string // of the table
	Rows  []Row
}

// Groups returns every comparison.
func Groups() []Group {
	return []Group{open(), receive(), forgery(), webhook(), roundTrip()}
}

// run runs the rows as sub-benchmarks.
func (g Group) run(b *testing.B) {
	for _, row := range g.Rows {
		b.Run(row.Name, row.Run)
	}
}
