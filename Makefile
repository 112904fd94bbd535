# SPDX-License-Identifier: Apache-2.0
#
# Every target is one or two commands that can be typed by hand. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The one lock pins the installer too, so that there is one place to look for a version.
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
# Kept in the checkout: works with an empty or missing home folder, and outlives the environment.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo demo-scaled simulate mutants test test-quick check lint format format-check types contracts spell coverage lock clean distclean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null || sed -n 's/^\([a-z-]*\):.*## /\1  /p' $(MAKEFILE_LIST)

demo: $(READY)  ## see a server and two devices at work for about a minute (DIR=a tree to sync; only read)
	$(BIN)/python -m drystone demo $(if $(DIR),"$(DIR)")

demo-scaled: $(READY)  ## the same on PostgreSQL, an S3 server and Valkey, with two workers and direct transfer
	$(BIN)/python -m drystone.testing.scaled $(if $(DIR),"$(DIR)")

test: $(READY) lint types contracts  ## everything that must hold: lint, types, contracts, all tests
	$(PYTEST) -n $(WORKERS) --hypothesis-profile=ci tests

test-quick: $(READY)  ## the tests to run between two edits: unit, property (few examples), house
	$(PYTEST) -n $(WORKERS) --hypothesis-profile=quick -m "not slow" $(wildcard tests/unit tests/property tests/house)

simulate: $(READY)  ## look for seeds whose world breaks a law (SECONDS=600, WORKERS=2, KEEP=folder for scripts)
	$(BIN)/python -m drystone.testing.world simulate --seconds $(or $(SECONDS),600) \
	  --workers $(WORKERS) $(if $(KEEP),--keep "$(KEEP)")

mutants: $(READY)  ## break the planner, guards and commit decision in all known ways: do tests notice?
	$(BIN)/python tools/mutate.py $(WORDS)

check: $(READY) format-check spell test  ## what CI does before a merge

lint: $(READY)  ## ruff's rules
	$(BIN)/ruff check .

format: $(READY)  ## rewrite files in the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

format-check: $(READY)
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy --strict
	$(BIN)/mypy

contracts: $(READY)  ## who may import whom
	$(BIN)/lint-imports

spell: $(READY)
	$(BIN)/codespell

coverage: $(READY)  ## branch coverage of all tests, as text
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Written without registry addresses or machine paths, so that it is the same file everywhere.
lock: $(READY)  ## resolve the dependencies again (LOCK_ARGS=--upgrade for newer ones)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev $(LOCK_ARGS) \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  pyproject.toml -o requirements.lock

# uv is quick but knows nothing of pip's own configuration; where only pip has been told how to reach
# packages, pip installs the same hashes. --no-build-isolation: the build backend is in the lock.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --require-hashes requirements.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable . \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:  ## remove what the tools leave behind; keep the environment
	rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## also remove the environment and the download cache
	rm -rf $(VENV) .cache
