package main

import (
	"testing"

	"github.com/ottpaykit/ottpay/examples/internal/shop/shoptest"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	shoptest.Run(t, routes)
}
