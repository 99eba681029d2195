package api_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

// FuzzTypes holds every generated type to one law: what it reads, encoding/json
// reads too; what it writes of that, it reads again as the same value; and the
// schema table takes a fault for one that the type does not even read.
func FuzzTypes(f *testing.F) {
	names := api.Schemas()
	for i, name := range names {
		schema, _ := api.LookupSchema(name)
		f.Add(uint8(i), []byte(schema.Example))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		schema, _ := api.LookupSchema(name)
		first, err := api.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.(json.Unmarshaler).UnmarshalJSON(data); err != nil {
			if schema.Check(data) == nil {
				t.Fatalf("%s: the table takes what the type refuses: %v", name, err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%s: read what is not JSON", name)
		}
		out, err := first.(json.Marshaler).MarshalJSON()
		if err != nil {
			if !schema.Request {
				t.Fatalf("%s: %v", name, err)
			}
			return // additional members that a request may not have
		}
		second, err := api.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.(json.Unmarshaler).UnmarshalJSON(out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%s: %s is another value after a round trip: %s", name, data, out)
		}
	})
}
