# toonify: `make` lists the targets. Every target creates the environment it needs in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz golden lint format docs lock dist train-default clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.stamp-run  ## draw the example photo in every style, into demo/
	$(BIN)/toonify stylize examples/astronaut.png -o demo/ --style all \
		--overwrite --sheet demo/sheet.png
	@echo "The drawings are in demo/, all on one sheet: demo/sheet.png"

test: $(VENV)/.stamp-dev  ## run the tests (JOBS=n processes at once)
	$(BIN)/python -m pytest -q -n $(JOBS) --maxprocesses 8 --dist worksteal

fuzz: $(VENV)/.stamp-fuzz  ## fuzz the parsers guided by coverage, SECONDS for each (60)
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(or $(SECONDS),60)

golden: $(VENV)/.stamp-run  ## whether drawings and trainings are those of revision BASE (HEAD), bit by bit
	$(BIN)/python -m benchmarks.golden --base $(or $(BASE),HEAD)

lint: $(VENV)/.stamp-dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.stamp-dev  ## apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.stamp-docs  ## build the guides and the API reference, into site/
	$(BIN)/python -m mkdocs build --strict

lock: $(VENV)/.stamp-dev  ## renew requirements-ci.txt, the hashed versions that public CI installs
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal \
		--generate-hashes --no-header --no-emit-index-url --quiet --upgrade -o requirements-ci.txt

dist: $(VENV)/.stamp-dev  ## build the packages to publish, into dist/, and check them
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist build
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

train-default: $(VENV)/.stamp-train  ## rebuild the default bundle from nothing (hours)
	TOONIFY_DOWNLOAD=1 $(BIN)/python examples/default_bundle/train.py

clean:  ## remove results and caches (the environment stays; rm -rf .venv removes it)
	rm -rf demo build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find toonify tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "toonify needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-fuzz: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev,fuzz]'
	@touch $@ $(VENV)/.stamp-dev $(VENV)/.stamp-run

$(VENV)/.stamp-train: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[train]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@ $(VENV)/.stamp-run
