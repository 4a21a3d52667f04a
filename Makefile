# Every target prepares what it needs; on a fresh clone only git, make and python3 (3.11 or newer) must be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench docs lock image test-image clean

BIN := .venv/bin
UV_VERSION := 0.13.8
COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' $(LOCK) pyproject.toml

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv with the locked libraries and the command otppi
	@provisioning/setup.sh

run: setup ## Run the gateway with four simulated modems on this machine
	@$(BIN)/otppi demo

test: setup ## Run all tests, or those named: make test TESTS=tests/gateway
	@provisioning/device-tests.sh
	@$(BIN)/python -m pytest $(TESTS)

check: ## Check format, style, types, layers and shell scripts
	@provisioning/setup.sh shellcheck
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo shellcheck of all shell scripts
	@git grep -lzE --untracked '^#!/(usr/)?bin/(env )?(ba|da)?sh$$' | xargs -0 shellcheck
	$(BIN)/python -m otppi.services.docs --check

bench: setup ## Measure speed and cost; options: make bench BENCH="--quick --only burst"
	@$(BIN)/python -m tests.bench $(BENCH)

docs: setup ## Write the table of settings into otppi/README.md
	@$(BIN)/python -m otppi.services.docs

lock: ## Write the lock files anew; newer versions with LOCK=--upgrade or LOCK="--upgrade-package NAME"
	python3 -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: uv==$(UV_VERSION)
	$(COMPILE) --extra dev --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock

image: setup ## Build the Raspberry Pi image (image/README.md)
	@image/build.sh

test-image: setup ## Build the image on plain Debian, boot it in QEMU and drive it (root; image/README.md)
	@$(BIN)/python -m pytest -m image tests/image_boot

clean: ## Remove what the targets above made, the demo's state included
	rm -rf .venv build dist *.egg-info demo-state bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
