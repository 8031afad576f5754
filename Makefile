# Each target does its own set-up. `make` alone lists them.

GO ?= $(shell command -v go 2>/dev/null || echo /usr/local/go/bin/go)
GO_MINIMUM = 1.26
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
DATA ?= data
LISTEN ?= 127.0.0.1:8080
# Flags for `go test`, such as TESTFLAGS=-v or TESTFLAGS=-short.
TESTFLAGS ?=

export CGO_ENABLED = 0

.PHONY: help
help:
	@echo 'make run     build, run everything on $(DATA)/ at http://$(LISTEN), and play the demo set into it (Ctrl-C ends it)'
	@echo 'make demo    build, and play the built-in prescriptions from registration to delivery'
	@echo 'make test    vet, check formatting, run all tests'
	@echo 'make test-faults   the whole fault matrix, about an hour and a half; some of it needs root'
	@echo 'make test-s3  the archive on a process that serves S3, at port 19000'
	@echo 'make rotation   three of five seats of the supervision chain rotate over $(EPOCHS) epochs, and while $(KILLS) processes are killed'
	@echo 'make recovery   how soon 1,000 steps are decided after a kill'
	@echo 'make growth   memory and goroutines of each party over ten minutes of load'
	@echo 'make lint    the above checks and staticcheck, gofumpt, deadcode'
	@echo 'make bench   measure everything together, and write tables and plots to docs/benchmarks.md; about six minutes'
	@echo 'make microbench   run all Go benchmarks and print their figures'
	@echo 'make bench-guard  compare allocations, bytes and relative times of the hot parts with test/bench/baseline.txt, and count a step'"'"'s cryptography'
	@echo 'make bench-baseline   make that file anew'
	@echo 'make build   bin/signalbox'
	@echo 'make clean   remove bin/; data directories stay'

.PHONY: run
run: build
	bin/signalbox up --data '$(DATA)' --listen '$(LISTEN)' --play-demo

.PHONY: demo
demo: build
	bin/signalbox demo

.PHONY: build
build: modules
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/signalbox ./cmd/signalbox

.PHONY: test
test: modules vet format
	$(GO) test $(TESTFLAGS) ./...
	$(GO) test -tags faults $(TESTFLAGS) ./internal/fault

# How long each seed of the soak test kills at random.
SOAK ?= 10m

.PHONY: test-faults
test-faults: faults-binary
	$(GO) test -v -count 1 -timeout 3h ./test/faults -args -full -soak $(SOAK) -binary '$(CURDIR)/bin/signalbox-faults' $(FAULTFLAGS)

# How long growth runs, and at how many steps a second.
GROWTH ?= 10m
RATE ?= 200

# A server of the S3 protocol for tests; no part of this module.
S3_SERVER = github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0

.PHONY: test-s3
test-s3: modules
	GOBIN='$(CURDIR)/bin' $(GO) install $(S3_SERVER)
	bin/gofakes3 -backend memory -initialbucket archive -host 127.0.0.1:19000 >/dev/null 2>&1 & server=$$!; \
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
	SIGNALBOX_TEST_S3='s3://archive?region=us-east-1&endpoint=http://127.0.0.1:19000&use_path_style=true' \
	$(GO) test -v -count 1 -tags s3 -run TestS3 ./archive/blob; result=$$?; kill $$server; exit $$result

.PHONY: growth
growth: faults-binary
	$(GO) test -v -count 1 -timeout 2h -run '^TestGrowth$$' ./test/faults -args -growth $(GROWTH) -rate $(RATE) -binary '$(CURDIR)/bin/signalbox-faults'

# How many epochs the rotation test goes through.
EPOCHS ?= 500
# How many nodes, as processes, are killed while seats rotate.
KILLS ?= 20

.PHONY: rotation
rotation: modules
	$(GO) test -v -count 1 -timeout 3h -run '^TestRotation$$' ./internal/chain -args -epochs $(EPOCHS)
	$(GO) test -v -count 1 -timeout 3h -run '^TestRotation$$' ./test/nodes -args -rounds $(KILLS)

.PHONY: recovery
recovery: faults-binary
	$(GO) test -v -count 1 -timeout 1h -run '^TestRecovery$$' ./test/faults -args -full -binary '$(CURDIR)/bin/signalbox-faults'

.PHONY: faults-binary
faults-binary: modules
	$(GO) build -trimpath -tags faults -o bin/signalbox-faults ./cmd/signalbox

# How long each of the six runs is measured.
BENCH ?= 30s

.PHONY: bench
bench: build
	$(GO) run ./cmd/benchdoc -binary bin/signalbox -docs docs -duration $(BENCH)

.PHONY: microbench
microbench: modules
	$(GO) test -run '^$$' -bench . -benchmem ./...

BASELINE = test/bench/baseline.txt

.PHONY: bench-guard
bench-guard: modules
	@mkdir -p bin
	GO='$(GO)' sh test/bench/run.sh > bin/bench.txt
	$(GO) tool benchstat -ignore cpu -filter '.unit:(allocs/op OR B/op)' baseline=$(BASELINE) now=bin/bench.txt
	$(GO) run ./internal/bench/guard $(BASELINE) bin/bench.txt
	$(GO) test -count 1 -timeout 1h -run '^TestCounts$$' ./internal/bench/floor -args -counts

.PHONY: bench-baseline
bench-baseline: modules
	@mkdir -p bin
	GO='$(GO)' sh test/bench/run.sh > bin/bench.txt
	grep -v '^cpu:' bin/bench.txt > $(BASELINE)

.PHONY: lint
lint: modules vet format
	$(GO) tool staticcheck ./...
	@echo '$(GO) tool gofumpt -l'; loose=$$($(GO) tool gofumpt -l $(sources)) || exit 1; \
	if [ -n "$$loose" ]; then echo "$$loose" | sort -u; echo 'not formatted as gofumpt does: go tool gofumpt -w .'; exit 1; fi
	@echo '$(GO) tool deadcode -test ./...'; dead=$$($(GO) tool deadcode -test ./...) || exit 1; \
	if [ -n "$$dead" ]; then echo "$$dead"; exit 1; fi

.PHONY: clean
clean:
	rm -rf bin

# Folders with packages, so that what lies beside them (node_modules, data) is
# not checked.
sources = $$($(GO) list -f '{{.Dir}}' ./...)

.PHONY: vet
vet: modules
	$(GO) vet ./...
	$(GO) vet -tags faults ./internal/fault

.PHONY: format
format: go
	@loose=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $(sources)) || exit 1; \
	if [ -n "$$loose" ]; then echo "$$loose" | sort -u; echo 'not formatted: gofmt -w .'; exit 1; fi

.PHONY: modules
modules: go
	$(GO) mod download

.PHONY: go
go:
	@have=$$($(GO) env GOVERSION 2>/dev/null | sed 's/^go//'); \
	if [ -z "$$have" ]; then \
		echo 'Go $(GO_MINIMUM) or newer is needed, and there is none on the PATH or in /usr/local/go.'; \
		echo 'Unpack it from https://go.dev/dl/ into /usr/local, or name it: make GO=/path/to/go'; exit 1; fi; \
	if [ "$$(printf '%s\n' '$(GO_MINIMUM)' "$$have" | sort -V | head -n 1)" != '$(GO_MINIMUM)' ]; then \
		echo "Go $(GO_MINIMUM) or newer is needed; $(GO) is $$have. See https://go.dev/dl/"; exit 1; fi
