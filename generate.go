package ottpay

// Everything that is generated comes from openapi/ottpay.yaml by this one line.
//
//go:generate go run -C tools ./generate -root ..
