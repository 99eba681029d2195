package ottpay

import (
	"errors"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
)

// ConvenienceFee returns what H5PAY adds to the amount asked for, in cents, 0 in
// most cases. The payer is charged resp.Amount; the notification names that, too,
// and may name the fee. An answer of less than was asked for is an error.
func ConvenienceFee(req *api.H5PayRequest, resp *api.H5PayResponse) (field.Cents, error) {
	if resp.Amount < req.Amount {
		return 0, errors.New("ottpay: the answer names less than was asked for")
	}
	return resp.Amount - req.Amount, nil
}
