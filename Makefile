# The front of the longer runs. The one test command is `go test work`.

FUZZTIME ?= 60s
BENCHCOUNT ?= 6
CRASH_N ?= 10000
CHAOS_N ?= 100000
SOAK ?= 30m
SOAK_RATE ?= 200
SPLICE_N ?= 10
MUTATE_MIN ?= 90
PACKAGES ?= ./envelope ./wire ./field ./dedupe ./middleware .
GOLANGCI = v2.15.0

.PHONY: help generate fuzz bench figures growth soak crash chaos splice mutate lint release-check ci

help:
	@sed -n 's/^## //p' Makefile

## generate       write the generated code anew
generate:
	go generate work

## fuzz           every fuzz target of every module in turn, FUZZTIME=60s each
fuzz:
	scripts/fuzz $(FUZZTIME)

## bench          every benchmark, BENCHCOUNT=6 times, into bench/raw
bench:
	@mkdir -p bench/raw
	go test -run='^$$' -bench=. -benchmem -count=$(BENCHCOUNT) -p=1 work | tee bench/raw/bench.txt

## figures        what the command weighs and how quick it is: binary, start, memory, page
figures:
	go test -count=1 -v -run='^TestFigures$$' ./browsertest -figures

## growth         how cost grows with size, keys, memory, connections and forgeries; each bound held (about ten minutes)
growth:
	go run ./bench/growth

## soak           a shop under load for SOAK=30m: its heap and goroutines stay, nothing is lost or handled twice
soak:
	go run ./bench/growth -soak $(SOAK) -rate $(SOAK_RATE)

## crash          kill a merchant and its database again and again: nothing lost, nothing doubled (CRASH_N=10000)
crash:
	go run ./crosstest/crash -n $(CRASH_N)

## chaos          a gateway at its worst under a client: no payment made twice (CHAOS_N=100000)
chaos:
	go run ./crosstest/chaos -n $(CHAOS_N)

## splice         what block operations make of honest callbacks: a longer search than the test's (SPLICE_N=10)
splice:
	OTTPAY_SPLICE=$(SPLICE_N) go test -run='^TestSearch$$' -count=1 -v -timeout=1h ./internal/splice

## mutate         change the code one thing at a time: do the tests notice? (PACKAGES="./envelope ./wire")
mutate:
	go run ./tools/mutate -min $(MUTATE_MIN) $(PACKAGES)

## lint           go vet and golangci-lint in every module
lint:
	go vet work
	@command -v golangci-lint >/dev/null || go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@for d in $$(go list -m -f '{{.Dir}}'); do (cd $$d && golangci-lint run --config "$(CURDIR)/.golangci.yml" ./...) || exit 1; done

## release-check  make a release in a temporary clone and prove it
release-check:
	scripts/release-check

## ci             everything that a change must pass
ci:
	.ci/run
