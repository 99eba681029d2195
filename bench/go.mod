module github.com/ottpaykit/ottpay/bench

go 1.25.0

require (
	github.com/PaddleHQ/paddle-go-sdk/v4 v4.1.0
	github.com/go-playground/validator/v10 v10.30.1
	github.com/go-playground/webhooks/v6 v6.4.0
	github.com/ottpaykit/ottpay v0.0.0
	github.com/standard-webhooks/standard-webhooks/libraries v0.0.1
	github.com/stripe/stripe-go/v82 v82.5.1
	github.com/svix/svix-webhooks v1.44.0
)

require (
	github.com/gabriel-vasile/mimetype v1.4.12 // indirect
	github.com/ggicci/httpin v0.20.1 // indirect
	github.com/ggicci/owl v0.8.2 // indirect
	github.com/go-playground/locales v0.14.1 // indirect
	github.com/go-playground/universal-translator v0.18.1 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/leodido/go-urn v1.4.0 // indirect
	golang.org/x/crypto v0.46.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
	golang.org/x/text v0.32.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	gopkg.in/validator.v2 v2.0.1 // indirect
)

replace github.com/ottpaykit/ottpay => ../
