module github.com/ottpaykit/ottpay/cmd/ottpay

go 1.25.0

require (
	github.com/mattn/go-isatty v0.0.24
	github.com/ottpaykit/ottpay v0.0.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.10
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
)

replace github.com/ottpaykit/ottpay => ../..
