# The two commands of a newcomer are `make run` and `make test`; `make help` lists the rest.
# One build configuration serves both the node and the tests: release, so that what is tested is what runs.

SWIFT  ?= swift
BUILD  := Tests/scripts/release.sh build
NEXADB := .build/release/nexadb
DATA   ?= ./data

.PHONY: help setup build run test e2e bench bench-import bench-replication bench-http bench-clients cluster docs-swift lint format asan tsan ubsan fuzz soak clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing (liblz4, libxxhash, libargon2, pkg-config) with apt
	@Tests/scripts/setup.sh build

build: setup ## Build the release binary
	@$(BUILD) --product nexadb

run: build ## Build and start a node on ./data (DATA=dir for another place, ARGS=... for more flags)
	@exec $(NEXADB) serve --data-dir $(DATA) $(ARGS)

cluster: build ## A leader and two followers on this machine, with HAProxy and a table (ARGS=start, status, stop, clean, setup)
	@cluster/local $(ARGS)

test: ## Set up, build and pass every test: Swift, C, fuzz smoke, end to end with real clients
	@Tests/scripts/test.py

e2e: build ## Only the end-to-end tests (Python, real clients)
	@Tests/e2e/setup.sh && .venv-e2e/bin/python -m pytest -q Tests/e2e

bench: build ## Compare with Redis (and the engine with RocksDB's db_bench) in one run
	@Tests/bench/compare.py $(ARGS)

bench-replication: build ## Lag, durable copies, cost, read scaling and full copies beside Redis and PostgreSQL in one run
	@Tests/bench/replication.py $(ARGS)

bench-import: build ## How fast a file gets in and out, beside Redis and PostgreSQL in one run
	@Tests/bench/import.py $(ARGS)

bench-http: build ## The HTTP gateway beside the binary protocol in one run: throughput, latency, bytes on the wire
	@Tests/e2e/setup.sh >/dev/null && .venv-e2e/bin/python Tests/bench/http_binary.py $(ARGS)

bench-clients: build ## How fast the clients for Python, JavaScript and Swift are against one node
	@$(BUILD) --product client-bench
	@clients/bench/run.sh

docs-swift: build ## The API reference of the Swift client, with DocC, into .build/docs/swift
	@$(BUILD) --target NexaClient && clients/swift/docs.sh

lint: setup ## swift-format in strict mode, warnings of our own targets (tests included) as errors
	@$(SWIFT) format lint --strict --recursive Package.swift Sources Tests clients/bench/swift
	@NEXA_STRICT=1 $(BUILD) --build-tests

format: ## Rewrite the sources in the house format
	@$(SWIFT) format --in-place --recursive Package.swift Sources Tests clients/bench/swift

asan: setup ## Swift tests under AddressSanitizer, the C core under UndefinedBehaviorSanitizer as well
	@SWIFT=$(SWIFT) Tests/scripts/sanitize.sh asan

tsan: setup ## Swift tests under ThreadSanitizer
	@SWIFT=$(SWIFT) Tests/scripts/sanitize.sh tsan

ubsan: setup ## Swift tests with the C core under UndefinedBehaviorSanitizer alone (traps)
	@SWIFT=$(SWIFT) Tests/scripts/sanitize.sh ubsan

soak: setup ## A million seeds of the replication simulator (SEEDS=n for another number)
	@$(BUILD) --build-tests && NEXA_SIMULATION_SEEDS=$(or $(SEEDS),1000000) Tests/scripts/release.sh test --skip-build --no-parallel --filter keepsItsPromisesUnderEverySeed

fuzz: setup ## libFuzzer on every decoder, SECONDS_EACH seconds each (default 60)
	@Tests/Fuzz/run.sh $(or $(SECONDS_EACH),60)

clean: ## Remove build products (never the data directory)
	@rm -rf .build .build-* .fuzz .bench .venv-*
