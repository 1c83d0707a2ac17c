# Everything a fresh machine with Python >= 3.11 needs: `make demo` shows the twin, `make test` proves it.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
SECONDS ?=
.PHONY: help setup demo test lint types imports unit coverage clean
.DEFAULT_GOAL := help

help:
	@echo "make demo            five cameras of a car park and its live map (no real camera, GPU, broker or database server)"
	@echo "make test            lint, types, import contracts and every test"
	@echo "make coverage        every test, and which lines they run"
	@echo "make setup           the development environment in .venv"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv was found; install it (Debian: apt-get install python3 python3-venv) or set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.demo

setup: $(VENV)/.dev

demo: $(VENV)/.demo
	$(BIN)/twin demo $(if $(SECONDS),--for $(SECONDS))

test: lint types imports unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# With AGAIN=1, what failed runs once more by itself and is named: a test that fails twice fails the build, a flaky one is told.
ONCE_MORE = $(if $(AGAIN),|| { echo "what failed runs once more by itself:"; $(BIN)/pytest --last-failed --last-failed-no-failures none -rA --no-header -q; })

# Three processes on two cores, as whole services mostly wait for their clocks; the pages; then what judges by the clock, alone.
# tests/sharing_out.py says what stays together, and what begins first.
unit: $(VENV)/.dev
	$(BIN)/pytest -n 3 -m 'not alone' --durations=15 --ignore=tests/e2e $(COVER) $(ONCE_MORE)
	$(BIN)/pytest -n 2 --durations=15 tests/e2e $(COVER_ON) $(ONCE_MORE)
	$(BIN)/pytest -m alone tests/system $(COVER_ON) $(ONCE_MORE)

# Counting lines takes a third as long again, so that a plain `make test` does without.
coverage:
	$(MAKE) unit COVER='--cov --cov-report=' COVER_ON='--cov --cov-append --cov-report=term:skip-covered'

clean:
	rm -rf $(VENV) build *.egg-info .coverage
