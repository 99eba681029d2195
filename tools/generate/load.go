package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/speakeasy-api/openapi/overlay"
	"gopkg.in/yaml.v3"
)

const schemaRef = "#/components/schemas/"

// load reads the document of root, lays the overlay over it and gives every
// object's members their place in the document (x-order) and the content of
// the shared values that they refer to. The result is valid OpenAPI 3.1.
//
// Further overlays, a shop's, come last.
func load(root string, more ...string) (*openapi3.T, error) {
	node, err := readYAML(filepath.Join(root, "openapi", "ottpay.yaml"))
	if err != nil {
		return nil, err
	}
	if err := unique("openapi/ottpay.yaml", node); err != nil {
		return nil, err
	}
	node = expand(node)
	if err := strict("openapi/ottpay.yaml", node); err != nil {
		return nil, err
	}
	if err := lay(node, "openapi/go.overlay.yaml", filepath.Join(root, "openapi", "go.overlay.yaml")); err != nil {
		return nil, err
	}
	for _, path := range more {
		if err := lay(node, filepath.Base(path), path); err != nil {
			return nil, err
		}
	}
	if err := inlineShared(node); err != nil {
		return nil, fmt.Errorf("openapi/ottpay.yaml: %w", err)
	}
	var text bytes.Buffer
	if err := yaml.NewEncoder(&text).Encode(node); err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("openapi/ottpay.yaml: %w", err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("openapi/ottpay.yaml: %w", err)
	}
	return doc, nil
}

// lay applies an overlay. Name stands in errors.
func lay(node *yaml.Node, name, path string) error {
	over, err := overlay.Parse(path)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := over.Validate(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := over.ApplyToStrict(node); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return strict(name, node)
}

func readYAML(path string) (*yaml.Node, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, fmt.Errorf("openapi/%s: %w", filepath.Base(path), err)
	}
	if len(node.Content) == 0 || node.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("openapi/%s: is not a mapping", filepath.Base(path))
	}
	return &node, nil
}

// expand copies the tree with aliases and merge keys resolved and comments
// dropped. A key of its own wins over a merged one and takes its place.
func expand(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return expand(node.Alias)
	}
	out := &yaml.Node{Kind: node.Kind, Tag: node.Tag, Value: node.Value, Style: node.Style &^ yaml.FlowStyle, Line: node.Line}
	if node.Kind != yaml.MappingNode {
		for _, child := range node.Content {
			out.Content = append(out.Content, expand(child))
		}
		return out
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := expand(node.Content[i]), expand(node.Content[i+1])
		if key.Tag != "!!merge" {
			set(out, key, value)
			continue
		}
		for j := 0; j < len(value.Content); j += 2 {
			if child(out, value.Content[j].Value) == nil {
				set(out, value.Content[j], value.Content[j+1])
			}
		}
	}
	return out
}

// child returns the value under key of a mapping, or nil.
func child(node *yaml.Node, key string) *yaml.Node {
	if node == nil {
		return nil
	}
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func set(node, key, value *yaml.Node) {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key.Value {
			node.Content[i+1] = value
			return
		}
	}
	node.Content = append(node.Content, key, value)
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func inlineShared(node *yaml.Node) error {
	schemas := child(child(node.Content[0], "components"), "schemas")
	if schemas == nil {
		return fmt.Errorf("no components.schemas")
	}
	for i := 1; i < len(schemas.Content); i += 2 {
		if names := child(schemas.Content[i], "propertyNames"); names != nil {
			inline, err := inlined(schemas, names)
			if err != nil {
				return fmt.Errorf("%s: propertyNames: %w", schemas.Content[i-1].Value, err)
			}
			set(schemas.Content[i], scalar("propertyNames"), inline)
		}
		properties := child(schemas.Content[i], "properties")
		if properties == nil {
			continue
		}
		for j := 0; j < len(properties.Content); j += 2 {
			member, err := inlined(schemas, properties.Content[j+1])
			if err != nil {
				return fmt.Errorf("%s.%s: %w", schemas.Content[i-1].Value, properties.Content[j].Value, err)
			}
			order := scalar(fmt.Sprint(j/2 + 1))
			order.Tag = "!!int"
			set(member, scalar("x-order"), order)
			properties.Content[j+1] = member
		}
	}
	return nil
}

// inlined returns the shared value that a member refers to, with the member's
// own keys beside the reference laid over it.
func inlined(schemas, member *yaml.Node) (*yaml.Node, error) {
	ref := child(member, "$ref")
	if ref == nil {
		return member, nil
	}
	name, ok := strings.CutPrefix(ref.Value, schemaRef)
	shared := child(schemas, name)
	if !ok || shared == nil {
		return nil, fmt.Errorf("refers to nothing: %s: name one of components.schemas", ref.Value)
	}
	switch {
	case child(shared, "$ref") != nil:
		return nil, fmt.Errorf("refers to %s, which refers to another: name that one", name)
	case child(shared, "properties") != nil:
		return nil, fmt.Errorf("refers to %s, which is an object: a member is a string, perhaps with JSON in it", name)
	}
	out := expand(shared)
	for i := 0; i < len(member.Content); i += 2 {
		if key := member.Content[i]; key.Value != "$ref" {
			set(out, key, member.Content[i+1])
		}
	}
	return out, nil
}
