// Package oapiclient is a client that oapi-codegen made of this project's
// OpenAPI document, for the test that such a one works above
// middleware.Transport. The overlay says what is different there: data is an
// object, and there is no md5.
package oapiclient

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config config.yaml ../../openapi/ottpay.yaml
