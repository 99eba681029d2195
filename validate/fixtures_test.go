package validate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/validate"
)

type fixture struct {
	Name  string          `json:"name"`
	Valid bool            `json:"valid"`
	JSON  json.RawMessage `json:"json"`
}

// TestFixtures judges every generated fixture, whose verdict is kin-openapi's,
// by the struct tags, by the schema table and by a round trip of the type.
func TestFixtures(t *testing.T) {
	t.Parallel()
	v := validate.New()
	for _, name := range api.Schemas() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema, ok := api.LookupSchema(name)
			if !ok {
				t.Fatal("no schema")
			}
			data, err := os.ReadFile(filepath.Join("..", "gen", "api", "testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var all []fixture
			if err := json.Unmarshal(data, &all); err != nil {
				t.Fatal(err)
			}
			var valid, refused int
			for _, f := range all {
				verdicts := map[string]error{
					"struct tags":  tags(v, name, f.JSON),
					"schema table": schema.Check(f.JSON),
					"round trip":   roundTrip(schema, f.JSON),
				}
				for judge, err := range verdicts {
					if (err == nil) != f.Valid {
						t.Errorf("%s: %s: %v, want valid=%v\n%.200s", f.Name, judge, err, f.Valid, f.JSON)
					}
				}
				if f.Valid {
					valid++
				} else {
					refused++
				}
			}
			if valid < 1 || refused < 3 {
				t.Errorf("%d valid fixtures and %d others", valid, refused)
			}
		})
	}
}

// tags decodes an object and judges it by its struct tags.
func tags(v *validator.Validate, schema string, data []byte) error {
	value, err := api.New(schema)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return err
	}
	return validate.Explain(v.Struct(value))
}

// roundTrip decodes an object, writes it, judges what was written by the schema
// table and decodes it once more.
func roundTrip(schema *api.Schema, data []byte) error {
	first, err := api.New(schema.Name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, first); err != nil {
		return err
	}
	out, err := json.Marshal(first)
	if err != nil {
		return err
	}
	if err := schema.Check(out); err != nil {
		return err
	}
	second, err := api.New(schema.Name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, second); err != nil {
		return err
	}
	if !reflect.DeepEqual(first, second) {
		return fmt.Errorf("not the same after a round trip")
	}
	return nil
}
