# Varve. 'make help' lists what there is.

GO     ?= go
BIN    := bin/varve
LDFLAGS ?= -s -w
PKGS   := ./...

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/varve
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/varve

.PHONY: run
run: build ## build and run a broker with everything embedded; data under ./data
	$(BIN) dev

.PHONY: servers
servers: ## build etcd and MinIO for the tests, once
	$(GO) run ./internal/testserver/cmd/servers

.PHONY: check
check: ## formatting, vet, generated docs
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	$(GO) vet $(PKGS)

.PHONY: test
test: check servers ## all tests that need nothing but Go, with the race detector
	$(GO) test -race -timeout 20m $(PKGS)

.PHONY: docs
docs: ## write the generated pages under docs/ anew
	$(GO) test ./internal/docs -update

.PHONY: lint
lint: ## static analysis
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(PKGS)
