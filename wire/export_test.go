package wire

// PrefixUTF16 is prefixUTF16.
func PrefixUTF16(name string) uint64 { return prefixUTF16([]byte(name)) }

// CompareUTF16 is compareUTF16.
func CompareUTF16(a, b string) int { return compareUTF16([]byte(a), []byte(b)) }

// StringEnd is stringEnd.
func StringEnd(text string) (end int, escaped, high bool) { return stringEnd([]byte(text), 0) }
