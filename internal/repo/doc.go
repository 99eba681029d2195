// Package repo holds the tests about the repository itself: who may import
// whom, what each module requires, and whether the pages say what the code
// does. It has no code of its own.
package repo
