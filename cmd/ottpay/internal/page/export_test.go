package page

// ShellQuote, PHPQuote and Quote are for tests.
var (
	ShellQuote = sh
	PHPQuote   = php
	Quote      = quoted
)
