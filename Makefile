# Gatehouse. `make` alone lists what there is; `make check` is what CI runs.

FUNCTIONS := authorizer $(patsubst handlers/%/main.go,%,$(wildcard handlers/*/main.go))
# All that may reach the bytes of a function, so that one Go version makes the same ones on every machine.
BUILD     := CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off GOEXPERIMENT= GOWORK=off GOFLAGS=-buildvcs=false \
             go build -trimpath -tags lambda.norpc -ldflags '-s -w -buildid='
OPA       := bin/tools/opa
# A package of the machine's own has no script in the venv.
CFN_LINT  := tools/venv/bin/python -c 'from cfnlint.runner import main; main()'
OSLS      := SLS_TELEMETRY_DISABLED=1 SLS_NOTIFICATIONS_MODE=off tools/node_modules/.bin/osls
CAPS      := internal/bundle/capabilities.json

.DEFAULT_GOAL := help
SHELL := bash
.PHONY: help run test check build functions zips package tools routes lint policies mutants race costs bench fmt fuzz clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## the guarded sample API on this machine (Ctrl-C ends it; ARGS="--rest 127.0.0.1:9000" for other addresses)
	bin/gatehouse serve $(ARGS)

test: build tools ## every test: Go, Rego, and the whole system on this machine
	go test ./...
	$(OPA) test --timeout 60s policies

check: lint policies mutants test race costs ## what CI runs: format, vet, staticcheck, Rego checks, all tests, the race detector, costs

build: functions ## bin/gatehouse and the functions, each in dist/NAME/bootstrap
	go build -buildvcs=false -o bin/gatehouse ./cmd/gatehouse

functions:
	@for f in $(FUNCTIONS); do \
		dir=./handlers/$$f; [ $$f = authorizer ] && dir=./cmd/authorizer; \
		$(BUILD) -o dist/$$f/bootstrap $$dir || exit 1; \
	done

# AWS has its own names for the architectures. What `gatehouse bake dist/baked` wrote goes into the authorizer's zips.
zips:
	@rm -rf dist/arm64 dist/x86_64
	@for f in $(FUNCTIONS); do \
		dir=./handlers/$$f; [ $$f = authorizer ] && dir=./cmd/authorizer; \
		GOOS=linux GOARCH=arm64 $(BUILD) -o dist/arm64/$$f/bootstrap $$dir && \
		GOOS=linux GOARCH=amd64 $(BUILD) -o dist/x86_64/$$f/bootstrap $$dir || exit 1; \
	done
	@[ ! -e dist/baked ] || for arch in arm64 x86_64; do cp -R dist/baked dist/$$arch/authorizer/baked || exit 1; done
	@go build -buildvcs=false -o bin/zip ./cmd/zip
	@cd dist && ../bin/zip {arm64,x86_64}/*/bootstrap > SHA256SUMS && cat SHA256SUMS

EXAMPLE_AUTH0 := {"version":"v1","issuers":[{"issuer":"https://example.eu.auth0.com/","audiences":["https://api.example.com"]}]}

package: tools zips ## the functions' zips and CloudFormation templates for both architectures, in dist; needs no AWS account
	@rm -rf dist/package
	@[ -n "$$GATEHOUSE_AUTH0$$GATEHOUSE_STORE" ] || export GATEHOUSE_AUTH0='$(EXAMPLE_AUTH0)'; \
	for arch in arm64 x86_64; do \
		GATEHOUSE_ARCHITECTURE=$$arch $(OSLS) package --package dist/package/$$arch && \
		$(CFN_LINT) --regions us-east-1 --template dist/package/$$arch/cloudformation-template-*.json || exit 1; \
	done
	@[ -n "$$GATEHOUSE_AUTH0$$GATEHOUSE_STORE" ] || echo 'Neither GATEHOUSE_STORE nor GATEHOUSE_AUTH0 is set: packaged for an example tenant. Deployed like this, it accepts no token of anybody.'

tools: bin/tools/.made tools/node_modules/.package-lock.json tools/venv/.made
bin/tools/.made: tools/go.mod tools/go.sum
	mkdir -p bin/tools
	go build -buildvcs=false -modfile=tools/go.mod -o bin/tools/ tool
	touch $@

tools/node_modules/.package-lock.json: tools/package.json tools/package-lock.json
	npm ci --prefix tools --ignore-scripts --no-audit --no-fund
	touch $@

# Packages that the machine's Python has already are not fetched.
tools/venv/.made: tools/requirements.txt
	python3 -m venv --clear --system-site-packages tools/venv
	tools/venv/bin/python -m pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	touch $@

routes: build ## the policies' route table, made again from serverless.yml
	bin/gatehouse routes --write policies/routes/data.json

lint: tools
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	go vet ./...
	bin/tools/staticcheck ./...

policies: build tools ## the Rego checks, with the plain opa program
	$(OPA) fmt --fail --list policies
	$(OPA) check --strict --capabilities $(CAPS) --schema policies/schema/input.json policies
	$(OPA) test --timeout 60s --coverage --threshold 100 policies > bin/coverage.json || { cat bin/coverage.json; exit 1; }
	$(OPA) test --timeout 60s --bundle policies
	bin/gatehouse test policies
	bin/gatehouse routes --check policies/routes/data.json

mutants: build ## each condition and each constraint of the policies left out in turn: a Rego test must fail each time
	bin/gatehouse test --mutate policies

race: build tools # not the tests of ./test, which drive programs that were built without it, nor those that only enumerate
	go test -race -timeout 12m -skip 'TestEveryFaultIsCaught|TestEveryOrder' $$(go list ./... | grep -v '/test$$')

costs: ## what a decision costs: allocations, bytes and linked packages, printed and held to their guards
	go test -v -run 'Allocations|TheBuiltAuthorizer|WhatTheLambdaLinks' ./authorizer/... ./test | tee bin/costs.txt | grep -vE '^(=== RUN|testing: warning: no tests|PASS|---)' ; exit $${PIPESTATUS[0]}
	@for cost in 'allocations per evaluation' 'allocations per decision' 'stripped binary' 'packages linked'; do \
		grep -q "$$cost" bin/costs.txt || { echo "no test printed: $$cost"; exit 1; }; \
	done

bench: ## the whole handler and the policy alone, as ratios within one run
	go test ./test -run '^$$' -bench 'Handler|Evaluation' -benchtime 300x -cpu 1

fmt: tools ## format Go and Rego
	gofmt -w .
	$(OPA) fmt --write policies

fuzz: ## every fuzz target, a minute each
	@go list ./... | while read -r pkg; do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 1m -fuzzminimizetime 10x $$pkg || exit 1; \
		done; \
	done

clean: ## remove what was built
	rm -rf bin dist tools/node_modules tools/venv
