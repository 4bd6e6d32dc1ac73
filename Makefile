# `make demo` and `make test` work from an empty clone; both create and reuse .venv in this folder.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_OUT ?= runs/demo
TEST_PROCESSES ?= 2

.PHONY: help demo test test-slow lint format docs findings results benchmarks clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)   ## the whole job on the embedded model, on synthetic clips
	$(BIN)/mtrans demo --out $(DEMO_OUT)

test: $(STAMP) lint   ## the quick test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile -m "not slow"

test-slow: $(STAMP)   ## the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

lint: $(STAMP)   ## style and types
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

format: $(STAMP) ## put the style right
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

docs: $(STAMP)   ## regenerate the command reference, the pages of data sets and of connectors
	$(BIN)/python -m mtrans.app.reference > docs/commands.md
	$(BIN)/python -m mtrans.app.datasets > docs/datasets.md
	$(BIN)/python -m mtrans.app.connectors > docs/connectors.md

findings: $(STAMP) ## write docs/FINDINGS.md from the tables in docs/results
	$(BIN)/python -m mtrans.app.findings write docs/results > docs/FINDINGS.tmp
	mv docs/FINDINGS.tmp docs/FINDINGS.md

results: $(STAMP) ## regenerate docs/RESULTS.md from the kept tables of studies
	$(BIN)/mtrans study results --out docs/RESULTS.md

benchmarks: $(STAMP) ## regenerate docs/BENCHMARKS.md from the kept records of benchmarks
	$(BIN)/mtrans bench page --out docs/BENCHMARKS.md

clean:           ## remove the environment and caches (runs and data stay)
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
