# Everything sets itself up: a machine needs Python 3.11 or later, pip and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for one in python3.13 python3.12 python3.11 python3; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$one; break; }; done)
BIN := .venv/bin
READY := .venv/ready

.PHONY: help venv demo test check chaos bench reference clean

help:  ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

venv: $(READY)  ## prepare .venv: callsheet as a link to this checkout, and the tools

# Made again only when the dependencies may have changed. Dependency groups need pip 25.1, so pip comes first; where the system's
# Python has no ensurepip (Debian without python3-venv), its own pip brings it.
$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.11 or later. Install one, or say where: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(BIN)/python -c '' 2>/dev/null || if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear .venv; else \
		$(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; fi
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(READY)  ## see it at work on a pretend site, until Ctrl-C (DEMO_SECONDS=20 make demo: ends by itself)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/callsheet demo

test: $(READY)  ## run all tests
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY)  ## lint, format, types, import rules, the agent's Python 3.7
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --quiet --no-tips --target=3.7- --violations src/callsheet/agent src/callsheet/wire src/callsheet/__init__.py src/callsheet/toolkit.py src/callsheet/version.py

chaos: $(READY)  ## kill and mislead the daemon for a minute; count what is lost, out of order, doubled (SEED=1: again; KILLS=200: until then)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))

bench: $(READY)  ## measure speed, latency, memory (REFERENCE=path of a shotgunEvents checkout: compare, and write bench/RESULTS.md)
	@env -u PYTHONDONTWRITEBYTECODE REFERENCE="$(REFERENCE)" $(BIN)/python -m bench

reference: $(READY)  ## write the generated pages of docs/reference anew
	$(BIN)/python docs/reference/generate.py

clean:  ## remove .venv and all caches
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
