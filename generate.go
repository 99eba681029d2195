package ottpay

// What is generated for the wire comes from openapi/ottpay.yaml by the first
// line. The second writes openapi/sandbox.yaml as the JSON that the sandbox
// serves. The third writes docs/cli.md from the commands.
//
//go:generate go run -C tools ./generate -root ..
//go:generate go run -C tools ./openapijson ../openapi/sandbox.yaml ../cmd/ottpay/sandbox/openapi.json
//go:generate go run -C cmd/ottpay ./internal/reference ../../docs/cli.md
