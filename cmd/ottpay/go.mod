module github.com/ottpaykit/ottpay/cmd/ottpay

go 1.25.0

require (
	github.com/boombuler/barcode v1.1.0
	github.com/mattn/go-isatty v0.0.24
	github.com/ottpaykit/ottpay v0.0.0
	github.com/ottpaykit/ottpay/tools v0.0.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.10
	golang.org/x/text v0.40.0
)

require (
	github.com/gabriel-vasile/mimetype v1.4.12 // indirect
	github.com/go-playground/locales v0.14.1 // indirect
	github.com/go-playground/universal-translator v0.18.1 // indirect
	github.com/go-playground/validator/v10 v10.30.1 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/leodido/go-urn v1.4.0 // indirect
	github.com/yuin/goldmark v1.8.7 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace github.com/ottpaykit/ottpay => ../..

replace github.com/ottpaykit/ottpay/tools => ../../tools
