package validate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/validate"
)

type fixture struct {
	Name   string          `json:"name"`
	Valid  bool            `json:"valid"`
	Misfit string          `json:"misfit"`
	JSON   json.RawMessage `json:"json"`
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
			var valid, refused, misfit int
			for _, f := range all {
				verdicts := map[string]error{
					"struct tags":  tags(v, name, f.JSON),
					"schema table": schema.Check(f.JSON),
					"round trip":   roundTrip(schema, f),
				}
				want := f.Valid
				if f.Misfit != "" {
					want = true
					verdicts["schema table"] = namesMember(verdicts["schema table"], f.Misfit)
					verdicts["misfits"] = isMisfit(name, f)
					misfit++
				}
				for judge, err := range verdicts {
					if (err == nil) != want {
						t.Errorf("%s: %s: %v, want valid=%v\n%.200s", f.Name, judge, err, want, f.JSON)
					}
				}
				if f.Valid {
					valid++
				} else {
					refused++
				}
			}
			if valid < 1 || refused < 3 || misfit > 0 && schema.Request {
				t.Errorf("%d valid fixtures, %d others, %d of them of members that decide nothing", valid, refused, misfit)
			}
		})
	}
}

// namesMember returns nil if the schema table's error names the member.
func namesMember(err error, member string) error {
	var bad *api.SchemaError
	if errors.As(err, &bad) && bad.Member == member {
		return nil
	}
	return fmt.Errorf("%v, want one that names %s", err, member)
}

// isMisfit returns nil if the type reads the object, keeps the member that does
// not fit as it came, and names it.
func isMisfit(schema string, f fixture) error {
	v, err := api.New(schema)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(f.JSON, v); err != nil {
		return err
	}
	if names := v.(interface{ Misfits() []string }).Misfits(); !slices.Equal(names, []string{f.Misfit}) {
		return fmt.Errorf("the misfits are %v", names)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(f.JSON, &members); err != nil {
		return err
	}
	kept := reflect.ValueOf(v).Elem().FieldByName("AdditionalProperties").Interface().(map[string]json.RawMessage)
	if len(kept) != 1 || string(kept[f.Misfit]) != string(members[f.Misfit]) {
		return fmt.Errorf("kept %s", kept)
	}
	return nil
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
func roundTrip(schema *api.Schema, f fixture) error {
	first, err := api.New(schema.Name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(f.JSON, first); err != nil {
		return err
	}
	out, err := json.Marshal(first)
	if err != nil {
		return err
	}
	if err := schema.Check(out); err != nil && (f.Misfit == "" || namesMember(err, f.Misfit) != nil) {
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
