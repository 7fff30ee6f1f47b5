# `make help` shows what there is. Each target works as the first command on a machine that has only
# Python (3.11 to 3.13), make, a C compiler and the package registries.
.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench format lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## An offender's path through three nodes on this machine (ARGS="--once --json", "--image my.jpg")
	@$(BIN)/schutznetz demo $(ARGS)

test: $(VENV)/development ## Run every test (ARGS="-k name" for some)
	@$(BIN)/pytest $(ARGS)

soak: $(VENV)/development ## Every fault on real nodes and long property runs, three quarters of an hour (ARGS="--seconds 3600")
	@SYNC_PROFILE=soak $(BIN)/pytest -q -s tests/property/test_sync_converges.py
	@PYTHONPATH=.:tests $(BIN)/python -m faults.suite --seconds 600 $(ARGS)

check: $(VENV)/development ## Style, types, layers, dependencies and documents, without running the tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pip check

bench: $(VENV)/development ## Measure, each figure beside its floor
	@for one in benchmarks/bench_*.py benchmarks/simulate_*.py; do echo "== $$one"; $(BIN)/python $$one || exit 1; done

format: $(VENV)/development ## Write the style that `check` asks for
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --group build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --group build --group dev --all-extras pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## Remove the environment and everything that tools left behind
	rm -rf $(VENV) .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

# The stamps say which lock is installed; re-running is quick until a lock or pyproject.toml changes.
$(VENV)/runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the node needs (once, about a minute) ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: requirements-dev.lock $(VENV)/runtime
	@echo "Installing what the tests need (once, about a minute) ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
