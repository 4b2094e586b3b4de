# Varve. 'make help' lists what there is.

GO     ?= go
BIN    := bin/varve
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS ?= -s -w -X main.commit=$(COMMIT)
ARGS   ?=
PKGS   := ./...

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/varve
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/varve

.PHONY: run
run: build ## build and run a broker with everything embedded; data under ./data; ARGS='...' are flags of varve dev
	$(BIN) dev $(ARGS)

.PHONY: cluster
cluster: build ## start three agents, three etcd servers and MinIO; Kafka on 127.0.0.1:9092, 9093, 9094
	deploy/cluster up

.PHONY: cluster-down
cluster-down: ## end what 'make cluster' started; data stays under data/cluster
	deploy/cluster down

.PHONY: servers
servers: ## build etcd and MinIO for the tests, once
	$(GO) run ./internal/testserver/cmd/servers

.PHONY: check
check: cross ## formatting, vet, generated docs, other platforms
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) test -count=1 ./internal/policy # it asks 'go list', which the test cache can't see

# The race detector needs a C compiler; without one the tests run without it.
RACE := $(if $(shell command -v $${CC:-gcc} 2>/dev/null),-race)

# Agents run on Linux and macOS, the other commands on Windows, too. From a cold cache,
# checking types takes a minute; building takes ten.
.PHONY: cross
cross: ## type-check for the other platforms
	$(GO) run ./internal/policy/cmd/platforms 'linux/arm64 ./...' 'darwin/amd64 ./... -./e2e' 'darwin/arm64 ./... -./e2e' \
		'windows/amd64 deps:./cmd/varve' # the processes of e2e are tied to the tests by Linux

.PHONY: binaries
binaries: ## build varve for every platform, into bin/
	for on in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do \
		GOOS=$${on%/*} GOARCH=$${on#*/} CGO_ENABLED=0 $(GO) build -o bin/varve-$${on%/*}-$${on#*/} ./cmd/varve || { echo "does not build for $$on" >&2; exit 1; }; done

.PHONY: packages
packages: ## build what is released, into dist/: binaries, deb, rpm, container images, bills of materials, checksums
	rm -rf dist
	$(GO) run -C packaging . --out ../dist

.PHONY: packages-test
packages-test: servers ## build the packages twice, and install them into a Debian under systemd; needs lintian, rpm, debootstrap, systemd-container and root
	cd packaging && $(GO) vet -tags full . && $(GO) test -tags full -count=1 -timeout 20m -v .

.PHONY: terraform-test
terraform-test: servers ## check the Terraform modules, and apply them to containers; needs terraform, shellcheck, debootstrap, systemd-container, openssh-client, e2fsprogs and root
	terraform fmt -check -recursive terraform
	shellcheck -x -P SCRIPTDIR:terraform/modules/cluster/scripts terraform/modules/*/scripts/*.sh
	@set -e; for dir in terraform/modules/c* terraform/examples/hosts terraform/examples/one-machine; do echo "$$dir"; \
		TF_CLI_CONFIG_FILE=/dev/null CHECKPOINT_DISABLE=1 TF_DATA_DIR=$$(mktemp -d); export TF_CLI_CONFIG_FILE CHECKPOINT_DISABLE TF_DATA_DIR; \
		terraform -chdir=$$dir init -input=false >/dev/null; terraform -chdir=$$dir validate; \
		if [ -d $$dir/tests ]; then terraform -chdir=$$dir test; fi; rm -rf "$$TF_DATA_DIR"; done
	$(GO) vet -tags full ./e2e/terraform
	$(GO) test -tags full -count=1 -timeout 20m -skip '^TestClouds$$' -v ./e2e/terraform

.PHONY: clouds-test
clouds-test: ## validate and test the Terraform modules for AWS and OpenStack with their providers, which it builds once, in minutes; needs Terraform 1.11
	terraform fmt -check -recursive terraform
	$(GO) test -tags full -count=1 -timeout 40m -run '^TestClouds$$' -v ./e2e/terraform

.PHONY: test
test: check servers ## all tests that need nothing but Go; with the race detector if there is a C compiler
	@test -n "$(RACE)" || echo "no C compiler: the race detector is off" >&2
	$(GO) test $(RACE) -timeout 30m $(PKGS)

.PHONY: test-all
test-all: needs servers ## test, and what needs kcat, Java, gcc, strace, iproute2, Docker, a KDC and root
	$(GO) vet -tags full ./e2e
	$(GO) test -tags full -count=1 -timeout 30m -run 'Kcat|KafkaTools|KafkaGo|OddBatches|FullDisk|RealData|Franz|QuickStart|SlowDisk|HungDisk|CablePulled|Kerberos' ./e2e
	cd e2e/clients && $(GO) vet . && $(GO) test -count=1 -timeout 20m .
	cd e2e/containers && $(GO) vet . && TESTCONTAINERS_RYUK_DISABLED=true $(GO) test -count=1 -timeout 20m .

.PHONY: outages
outages: servers ## all of etcd, and the bucket, gone for a minute under three agents
	$(GO) test -tags full -count=1 -timeout 10m -v -run 'ForAMinute' ./e2e

.PHONY: observe-test
observe-test: servers ## rules, alerts and dashboards with a real Prometheus; PICTURES=dir draws the dashboards; needs Debian's package prometheus
	@for tool in prometheus promtool; do command -v $$tool >/dev/null || { echo "make observe-test needs $$tool (Debian's package prometheus)" >&2; exit 1; }; done
	$(GO) test -count=1 ./internal/dashboards
	$(if $(PICTURES),OBSERVE_PICTURES=$(abspath $(PICTURES))) $(GO) test -tags full -count=1 -timeout 15m -v -run 'TestObserve' ./e2e

.PHONY: memory-test
memory-test: servers ## run agents with 256 MiB, 1 GiB and 4 GiB under full load, and see that none takes more; FOR=60s each
	MEMORY_TEST=$(or $(FOR),60s) $(GO) test -count=1 -timeout 20m -v -run 'TestMemory' ./e2e

.PHONY: needs
needs: # says what test-all misses on this machine
	@missing=; for tool in kcat java mvn gcc strace ip docker krb5kdc kadmin.local kinit; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	docker info >/dev/null 2>&1 || missing="$$missing a-running-Docker-engine"; \
	test "$$(id -u)" = 0 || missing="$$missing root"; \
	test -z "$$missing" || { echo "make test-all needs:$$missing" >&2; exit 1; }

.PHONY: spec
spec: ## check the models of replication and recovery; needs Java and Maven
	docs/spec/run

RUNS ?= 300

.PHONY: sim
sim: ## run simulated clusters: RUNS=n fresh seeds, or SEED=n once more, exactly; see docs/simulation.md
	$(if $(SEED),VARVE_SIM_SEED=$(SEED),VARVE_SIM_RUNS=$(RUNS)) $(GO) test -count=1 -timeout 6h -v -run '^TestSimulation$$' ./sim

.PHONY: sim-mutations
sim-mutations: ## break the protocol in the ways that sim/mutations_test.go lists, and see it caught; MUTATIONS=all: in the rare ways, too
	VARVE_SIM_MUTATIONS=$(or $(MUTATIONS),1) $(GO) test -count=1 -timeout 6h -v -run '^TestMutations$$' ./sim

.PHONY: docs
docs: ## write the generated pages under docs/ anew
	$(GO) test ./cmd/varve ./internal/dashboards -run TestDocs -update

.PHONY: lint
lint: ## static analysis
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags full $(PKGS)
	@for on in e2e/clients e2e/containers packaging; do $(GO) -C $$on list -m all >/dev/null || exit 1; done # their go.mod must agree with the module's

# Known vulnerabilities: the database is a module, so it comes as all others do. The toolchain is that of
# go.mod, which releases are built with.
VULNDB = golang.org/x/vulndb@latest
.PHONY: vulns
vulns: ## look for known vulnerabilities in what the program calls, of libraries and of Go
	@set -e; of=$$($(GO) mod download -json $(VULNDB)); \
	dir=$$(echo "$$of" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'); version=$$(echo "$$of" | sed -n 's/.*"Version": "\(.*\)".*/\1/p'); \
	db=$${XDG_CACHE_HOME:-$$HOME/.cache}/varve/vulndb-$$version; \
	if [ ! -d "$$db" ]; then rm -rf "$$db.part"; $(GO) run golang.org/x/vulndb/cmd/indexdb@$$version -vulns "$$dir/data/osv" -out "$$db.part"; mv "$$db.part" "$$db"; fi; \
	echo "database: $$version"; \
	GOTOOLCHAIN=$$(sed -n 's/^toolchain //p' go.mod) $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db "file://$$db" $(PKGS)

# Not asked: G104, that every error is handled (reviews judge which may be ignored, as most of Close); G115, that conversions of
# integers can't overflow (the wire's are checked where they are read, and fuzzed); G204, G702, that commands are constant
# (the user's editor, and this program itself); G304, G703, that names of files are constant (users name them);
# G103, no unsafe (alignment is asked); G404, no math/rand (jitter). Of packaging all that is written is public.
.PHONY: gosec
gosec: ## look for patterns that are often insecure
	$(GO) run github.com/securego/gosec/v2/cmd/gosec@v2.30.0 -quiet -exclude=G103,G104,G115,G204,G304,G404,G702,G703 \
		-exclude-dir=internal/testserver -exclude-dir=internal/golden -exclude-dir=bench -exclude-dir=packaging -exclude-dir=tiering/tiertest -exclude-dir=e2e $(PKGS)

.PHONY: bench
bench: ## micro-benchmarks of the hot path, then whole processes beside Kafka
	$(GO) test -run xxx -bench . -benchtime 1s ./kafka ./wal ./partition ./tiering/...
	bench/compare
