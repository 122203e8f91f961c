# Everything a person or CI does here is a target; `make help` lists them. Needs Python 3.11 to 3.13 and make, and nothing else unless a line says so.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CACHE := .cache
STORE ?= sqlite
BENCH_DIR ?= build/bench
PEER := tests/interop/official_peer

.PHONY: help
help: ## Lists the targets.
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

# ---- environment ----

$(STAMP): requirements.lock pyproject.toml clients/python/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "$(PYTHON) is not Python 3.11 to 3.13; name one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

.PHONY: setup lock install clean
setup: $(STAMP) ## Makes the virtual environment with everything in it; other targets do so by themselves.

lock: $(STAMP) ## Resolves the dependencies anew and writes requirements.lock.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-package enmeshed-connector-client \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.lock

PREFIX ?= build/connector
install: $(STAMP) ## Installs the Connector alone, without tools, into PREFIX=folder (what the container does).
	$(PYTHON) -m venv --without-pip $(PREFIX)
	$(BIN)/uv pip install --quiet --python $(PREFIX) --constraint requirements.lock --build-constraint requirements.lock ./clients/python .

clean: ## Removes the virtual environment, caches and everything built.
	rm -rf $(VENV) $(CACHE) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(PEER)/node_modules clients/typescript/node_modules clients/typescript/dist

# ---- checks ----

SOURCES := server tests clients/python clients/generate.py protos/generate.py

.PHONY: check format lint types imports proto proto-check proto-lint docker-lint unit
check: lint types imports proto-lint proto-check docker-lint unit ## Everything that must pass before a commit: lint, types, contracts, protos, unit and contract tests.

format: $(STAMP) ## Formats the code.
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: $(STAMP) ## Checks format and lint (ruff).
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(STAMP) ## Checks types (mypy, strict).
	$(BIN)/mypy server clients/python clients/generate.py protos/generate.py tests

imports: $(STAMP) ## Checks that rooms import only from rooms below them (import-linter).
	$(BIN)/lint-imports

proto: $(STAMP) ## Writes the Python stubs from protos/.
	$(BIN)/python protos/generate.py

proto-check: $(STAMP) ## Fails when the generated stubs differ from what protos/ gives.
	$(BIN)/python protos/generate.py --check

proto-lint: $(STAMP) ## Lints the protos and checks them against the committed baseline (buf).
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/baseline.binpb

docker-lint: $(STAMP) ## Lints the Dockerfile (hadolint).
	$(BIN)/hadolint Dockerfile

unit: $(STAMP) ## Runs the unit and contract tests: nothing but Python.
	$(BIN)/pytest -q -n 2 tests/enmeshed_connector/core tests/enmeshed_connector/crypto tests/enmeshed_connector/content \
	  tests/enmeshed_connector/api tests/protos tests/vectors

# ---- clients ----

NODE_STAMP := clients/typescript/node_modules/.package-lock.json
$(NODE_STAMP): clients/typescript/package-lock.json
	npm ci --prefix clients/typescript --no-audit --no-fund

.PHONY: clients clients-proto clients-check clients-test
clients: $(NODE_STAMP) ## Builds the TypeScript and Go clients (needs Node.js and Go).
	npm run --silent --prefix clients/typescript build
	go -C clients/go vet ./... && go -C clients/go build ./...

clients-proto: $(STAMP) $(NODE_STAMP) ## Writes the TypeScript and Go stubs from protos/ (needs Node.js and Go).
	$(BIN)/python clients/generate.py

clients-check: $(STAMP) $(NODE_STAMP) ## Fails when the TypeScript and Go stubs differ from what protos/ gives (needs Node.js and Go).
	$(BIN)/python clients/generate.py --check

clients-test: $(STAMP) peers ## Tests the clients; TypeScript needs Node.js, Go needs Go.
	$(BIN)/pytest -q tests/clients

# ---- tests ----

.PHONY: test test-vectors test-mongo mongo soak bench peers
test: $(STAMP) peers ## Runs all tests of a fresh machine; those of official peers and Go say so when Node or Go are absent (and fail when CI is set).
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not soak and not bench" tests

peers: ## Installs what the tests with official peers and the TypeScript client need (needs Node.js; says so when it is absent).
	@if command -v npm >/dev/null; then \
	    test -d $(PEER)/node_modules/@nmshd/runtime || npm ci --prefix $(PEER) --no-audit --no-fund; \
	    $(MAKE) --no-print-directory $(NODE_STAMP); \
	  elif [ -n "$$CI" ]; then echo "CI is set and npm is absent: the tests with official peers cannot run" >&2; exit 1; \
	  else echo "npm is absent: the tests with official peers will be skipped"; fi

VECTORS ?= tests/vectors/crypto.json
test-vectors: $(STAMP) ## Runs the vectors of VECTORS=file.json and prints 'N passed, N failed'.
	@$(BIN)/python -m tests.vectors.run "$(VECTORS)"

test-mongo: $(STAMP) ## Runs the storage tests on a real MongoDB: make test-mongo URI=mongodb://…
	@test -n "$(URI)" || { echo "usage: make test-mongo URI=mongodb://localhost:27017" >&2; exit 2; }
	ENMESHED_TEST_MONGODB_URI="$(URI)" $(BIN)/pytest -q tests/enmeshed_connector/storage

mongo: $(STAMP) ## Starts a MongoDB-protocol server for development (mongod, else FerretDB with Go, else a test server).
	$(BIN)/python -m tests.support.mongodb

soak: $(STAMP) peers ## Runs the long tests: hundreds of random kills.
	$(BIN)/pytest -q -m soak --timeout 3600 tests

bench: $(STAMP) ## Measures; prints tables and writes JSON to build/bench.
	@mkdir -p $(BENCH_DIR)
	@for suite in tests/bench/bench_*.py; do name=$$(basename $$suite .py); \
	  $(BIN)/python -m tests.bench.$$name --json $(BENCH_DIR)/$$name.json || exit 1; done

# ---- running ----

.PHONY: backbone run demo
backbone: $(STAMP) ## Starts the embedded development Backbone on http://localhost:8090 (admin 8091).
	$(BIN)/enmeshed-backbone

run: $(STAMP) ## Starts a development Connector with two identities, alice and bob, and an embedded Backbone.
	$(BIN)/enmeshed-connector dev

demo: $(STAMP) ## Sends a mail with a file between two identities through the public interface (STORE=sqlite|mongodb; MONGODB_URI names a server of yours).
	@if [ "$(STORE)" = mongodb ] && [ -z "$$MONGODB_URI" ]; then \
	  $(BIN)/python -m tests.support.mongodb -- $(BIN)/enmeshed-connector demo --store mongodb; \
	else $(BIN)/enmeshed-connector demo --store $(STORE); fi
