package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oapi-codegen/oapi-codegen/v2/pkg/codegen"
	"gopkg.in/yaml.v3"
)

// models has oapi-codegen write the struct types. The schemas that it sees are
// copies of the document's with the Go side filled in: type, name, tag.
func models(m *model, root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "openapi", "models.yaml"))
	if err != nil {
		return "", err
	}
	var cfg codegen.Configuration
	if err := yaml.Unmarshal(data, &cfg); err != nil {
		return "", fmt.Errorf("openapi/models.yaml: %w", err)
	}
	return structs(m, cfg)
}

// structs has oapi-codegen write the types of the model's schemas. Decoding and
// encoding are in wire.gen.go.
func structs(m *model, cfg codegen.Configuration) (string, error) {
	cfg.OutputOptions.UserTemplates = map[string]string{
		"additional-properties.tmpl": "{{/* see wire.tmpl */}}{{\"\"}}\n", // a text without an action would leave the stock one in place
		"imports.tmpl":               importsTemplate,
	}
	spec := &openapi3.T{
		OpenAPI: m.doc.OpenAPI, Info: m.doc.Info, Paths: openapi3.NewPaths(),
		Components: &openapi3.Components{Schemas: make(openapi3.Schemas)},
	}
	for _, s := range m.Schemas {
		spec.Components.Schemas[s.GoName] = openapi3.NewSchemaRef("", goSchema(s))
	}
	generating.Lock()
	text, err := codegen.Generate(spec, cfg)
	generating.Unlock()
	if err != nil {
		return "", fmt.Errorf("oapi-codegen: %w", err)
	}
	const rest = "\tAdditionalProperties "
	return strings.ReplaceAll(text, rest, "\n\t// AdditionalProperties has the members that are in no other field, as JSON.\n"+rest), nil
}

// predicate turns a description, which begins with a noun or with what a noun
// clause begins with, into the rest of a sentence that begins with the field.
func predicate(description string) string {
	if first := strings.TrimRight(strings.Fields(description)[0], ".,;:"); len(first) == 1 || first[1:] == strings.ToLower(first[1:]) {
		description = strings.ToLower(description[:1]) + description[1:]
	}
	return "is " + description
}

// generating guards codegen.Generate, which keeps its options in a global
// variable: two of the tests that run side by side would mix theirs.
var generating sync.Mutex

const importsTemplate = generatedMark + `
package {{.PackageName}}

import (
	"encoding/json"

	"github.com/ottpaykit/ottpay/field"
)
`

func goSchema(s *schema) *openapi3.Schema {
	out := openapi3.NewObjectSchema()
	out.Description = s.Description + "\n\n" + s.Where()
	out.Required = s.value.Required
	out.Properties = make(openapi3.Schemas)
	for i, m := range s.Members {
		p := openapi3.NewStringSchema()
		p.Description = predicate(m.Description)
		p.Extensions = map[string]any{
			"x-order": float64(2 * i), "x-go-name": m.GoName, "x-go-type": m.GoType,
			"x-oapi-codegen-only-honour-go-name": true,
			"x-go-type-skip-optional-pointer":    true,
		}
		if m.Tag != "" {
			p.Extensions["x-oapi-codegen-extra-tags"] = map[string]any{"validate": m.Tag}
		}
		out.Properties[m.Name] = openapi3.NewSchemaRef("", p)
		if m.Respell {
			out.Properties[m.Name+" spelling"] = openapi3.NewSchemaRef("", spelling(m, i))
		}
	}
	if s.Response {
		p := openapi3.NewStringSchema()
		p.Description = "reports whether the gateway answered PROCESSING. The client sets it; it is not part of the JSON."
		p.Extensions = map[string]any{
			"x-order": float64(2 * len(s.Members)), "x-go-name": "Processing", "x-go-type": "bool",
			"x-go-type-skip-optional-pointer": true, "x-go-json-ignore": true,
		}
		out.Properties["processing"] = openapi3.NewSchemaRef("", p)
	}
	raw := openapi3.NewSchema()
	raw.Extensions = map[string]any{"x-go-type": "json.RawMessage"}
	out.AdditionalProperties = openapi3.BoolSchema{Schema: openapi3.NewSchemaRef("", raw)}
	return out
}

// spelling is the field that chooses under which name a member is sent.
func spelling(m *member, i int) *openapi3.Schema {
	p := openapi3.NewStringSchema()
	names := append([]string{m.Name}, m.Aliases...)
	p.Description = "is the name under which " + m.GoName + " is sent: " + strings.Join(names, " or ") + ". Defaults to the first."
	p.Extensions = map[string]any{
		"x-order": float64(2*i + 1), "x-go-name": m.GoName + "Name", "x-go-type": "string",
		"x-go-type-skip-optional-pointer": true, "x-go-json-ignore": true,
		"x-oapi-codegen-extra-tags": map[string]any{"validate": "omitempty,oneof=" + strings.Join(names, " ")},
	}
	return p
}
