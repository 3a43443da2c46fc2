# Everything runs from .venv, which the first target that needs it makes.
# `make run` needs python3 (3.11 or newer) with venv, and make; nothing else.

PYTHON ?= python3
BIN := .venv/bin
# Tests of the app wait more than they compute: more of them at once than there are cores.
WORKERS ?= 4
.DEFAULT_GOAL := help

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "hvtui needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

# Stamps: `run` needs the program alone, everything else also the developer's tools.
.venv/.run: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/.run $@

.PHONY: help run install test long lint bench guests screenshots format

help: ## show what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: .venv/.run ## open the app on the default machine (without a terminal: two virtual seconds, consoles printed)
	@$(BIN)/hvtui

install: .venv/.dev ## make .venv with the program and the developer's tools

test: .venv/.dev ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

long: .venv/.dev ## run the state machines that only show much in thousands of examples (minutes)
	FFA_EXAMPLES=2000 SPMC_EXAMPLES=400 SPMC_SHARING_EXAMPLES=500 DISK_EXAMPLES=1000 VIRTIO_EXAMPLES=1000 \
	  $(BIN)/python -m pytest \
	  tests/unit/engine/hypervisor/test_ffa_machine.py tests/unit/engine/spmc/test_calls_machine.py \
	  tests/unit/engine/spmc/test_sharing_machine.py tests/unit/engine/board/virtio/test_disk_machine.py \
	  tests/unit/engine/board/virtio/test_fuzz.py

lint: .venv/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev ## let ruff put the sources in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev ## measure speed and memory, side by side with qemu-system-aarch64 where it is installed
	$(BIN)/python -m pytest tests/bench -m bench -s -q

guests: .venv/.dev ## build the bare-metal guest images and the programs for Linux guests again
	$(BIN)/python machines/guests/build.py
	$(BIN)/python machines/linux/programs/build.py

screenshots: .venv/.dev ## draw screenshots/*.svg from real machine states
	$(BIN)/python screenshots/make.py
