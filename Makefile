# Every target prepares what it needs; on a fresh clone only git, make and python3 (3.11 or newer) must be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench screenshots docs words lock deb image test-image test-image-pi3 bench-image campaign-pdu campaign-brokers clean

BIN := .venv/bin
UV_VERSION := 0.13.8
COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' $(LOCK) pyproject.toml

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv with the locked libraries and the command otppi
	@provisioning/setup.sh

run: setup ## Run the gateway with four simulated modems on this machine
	@$(BIN)/otppi demo

test: setup ## Run all tests, the booted image in short included; or those named: TESTS=tests/gateway
	@provisioning/device-tests.sh
	@$(BIN)/python -m pytest $(or $(TESTS),-n 2)
	@$(if $(TESTS),,$(BIN)/python -m pytest -m 'image and short' tests/image_boot)

check: ## Check format, style, types, layers and shell scripts
	@provisioning/setup.sh shellcheck
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo shellcheck of all shell scripts
	@git grep -lzE --untracked '^#!/(usr/)?bin/(env )?(ba|da)?sh$$' | xargs -0 shellcheck
	$(BIN)/python -m otppi.services.docs --check
	$(BIN)/python -m provisioning.words --check

bench: setup ## Measure speed and cost; options: make bench BENCH="--quick --only burst"
	@$(BIN)/python -m tests.bench $(BENCH)

screenshots: setup ## Take pictures of the admin pages, into build/screenshots/index.html
	@provisioning/device-tests.sh
	@$(BIN)/python -m tests.browser.screenshots

campaign-pdu: setup ## Try 100,000 texts per test through the PDU codec and back; some 15 minutes
	@OTPPI_ROUND_TRIPS=100000 $(BIN)/python -m pytest tests/model/test_pdu_round_trips.py

campaign-brokers: setup ## Kill brokers, gateways and connections while messages flow, each broker in both modes; some 10 minutes
	@$(BIN)/python -m tests.brokers.campaign

docs: setup ## Write the table of settings into otppi/README.md
	@$(BIN)/python -m otppi.services.docs

words: setup ## Gather the texts of the pages into the Indonesian catalogue, and say what is not translated
	@$(BIN)/python -m provisioning.words

lock: ## Write the lock files anew; newer versions with LOCK=--upgrade or LOCK="--upgrade-package NAME"
	python3 -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: uv==$(UV_VERSION)
	$(COMPILE) --extra device --extra dev --output-file requirements-dev.lock
	$(COMPILE) --extra device --constraint requirements-dev.lock --output-file requirements.lock

deb: setup ## Build the Debian package (provisioning/README.md); ARCHITECTURE=arm64 for another machine
	@provisioning/package.sh $(ARCHITECTURE)

image: setup ## Build the Raspberry Pi image (image/README.md)
	@image/build.sh

test-image: setup ## Build the image on plain Debian, boot it in QEMU and drive it (root; image/README.md)
	@$(BIN)/python -m pytest -m 'image and not pi3' tests/image_boot

bench-image: setup ## Measure how long a boot takes, beside that of plain Debian (root)
	@$(BIN)/python -m tests.image_bench.boot_time

test-image-pi3: setup ## Boot it on an emulated Raspberry Pi 3B with a clock chip (root; image/README.md)
	@OTPPI_IMAGE_ARCHITECTURE=arm64 $(BIN)/python -m pytest -m pi3 tests/image_boot

clean: ## Remove what the targets above made, the demo's state included
	rm -rf .venv build dist *.egg-info demo-state bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
