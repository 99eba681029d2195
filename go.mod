module github.com/ottpaykit/ottpay

go 1.25.0

require (
	github.com/go-playground/validator/v10 v10.30.1
	golang.org/x/time v0.15.0
)
