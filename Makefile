# Everything a person or CI does here. `make` alone prints the list.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv)
# The first Python that is new enough and can make an environment; `make PYTHON=... setup` overrides it.
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# As bytecode, on all processors: where Python may not write it beside the code, every start would compile it anew,
# for seconds. A file that does not compile is one that a package keeps for another Python.
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib app migrations || true
HAVE_PYTHON = test -n "$(PYTHON)$(UV)" || { echo 'Python 3.11 or newer is needed, with its venv module\
	(Debian and Ubuntu: apt install python3-venv), or uv.' >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help setup demo test mutate faults lint types contracts containers migrations-check sbom bench overload upgrades lock check format clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv from the hashed lock; does nothing when it is up to date

ifneq ($(UV),)
$(READY): requirements.lock pyproject.toml
	@echo "Preparing $(VENV) with uv"
	@test -x $(BIN)/python || $(UV) venv --quiet --python '$(or $(PYTHON),>=3.11)' $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(COMPILE)
	@touch $@
else
$(READY): requirements.lock pyproject.toml
	@$(HAVE_PYTHON)
	@echo "Preparing $(VENV) with $(PYTHON) and pip (about a minute)"
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(COMPILE)
	@touch $@
endif

demo: setup  ## classify the sample customers and serve the API; ARGS=--no-serve ends after printing
	@$(BIN)/strata demo $(ARGS)

test: setup  ## run the tests, side by side; ARGS='-k name' chooses
	@$(BIN)/pytest --numprocesses logical --maxprocesses 8 $(ARGS)

mutate: setup  ## take each check of access away, one after the other: a test must fail without it
	@$(BIN)/pytest --numprocesses logical --maxprocesses 8 -v tests/test_mutations.py tests/test_scope_mutations.py tests/test_scope_of_one_mutations.py

faults: setup  ## kill, freeze, fill and cut under load, as root; TIMES=20 is the long form, ARGS='--only worker' chooses
	@$(BIN)/python -m tests.faults $(if $(TIMES),--times $(TIMES)) $(ARGS)

lint: setup  ## style, and dependencies that are missing or unused
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/deptry app

format: setup  ## put the code into the form that lint asks for
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup  ## strict type check
	@$(BIN)/mypy

contracts: setup  ## who may import whom
	@$(BIN)/lint-imports

containers: setup  ## lint the Dockerfile and compose.yaml
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

migrations-check: setup  ## models match the migrations, and the migrations are safe to run
	@$(BIN)/strata migrate --check
	@mkdir -p build
	@$(BIN)/strata migrate --sql > build/migrations.sql
	@# Alembic's own table is not ours to judge.
	@sed '/^CREATE TABLE alembic_version/,/^);/d' build/migrations.sql | $(BIN)/squawk --stdin-filepath migrations.sql

sbom: setup  ## list the dependencies and their licences, in CycloneDX: build/sbom.json
	@mkdir -p build
	@$(BIN)/python -m tests.sbom > build/sbom.json

check:  ## everything that CI runs
	@.ci/run

overload: setup  ## put the service under more than it can carry; ARGS='--seconds 20 --only peak'
	@$(BIN)/python -m tests.overload $(ARGS)

upgrades: setup  ## every migration up and down under the load of the release before it; SIZE=100k for the small base
	@$(BIN)/python -m tests.upgrades $(if $(SIZE),--size $(SIZE)) $(ARGS)

bench: setup  ## measure the targets of speed; SIZE=1m for the large base; ARGS='--only get,list'
	@$(BIN)/python -m tests.bench $(if $(SIZE),--size $(SIZE)) $(ARGS)

# Universal: one file for Python 3.11 and later on every platform. Needs uv; versions already locked are kept.
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	--custom-compile-command "make lock" pyproject.toml

lock:  ## lock the dependencies anew; ARGS=--upgrade takes the newest
	@test -n "$(UV)" || { echo 'make lock needs uv' >&2; exit 1; }
	@$(LOCK) --extra embedded --extra otel --extra predict --extra dev $(ARGS) --output-file requirements.lock
	@$(LOCK) --extra otel --extra predict --constraint requirements.lock --no-annotate $(ARGS) --output-file requirements.runtime.lock

clean:  ## remove what can be made again; .data stays
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
