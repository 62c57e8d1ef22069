# Two commands matter: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint types bench schema clean

run: $(VENV)/.installed
	$(BIN)/python run_scenario.py scenarios/urban.yaml

test: lint types
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy
	$(BIN)/mypy run_scenario.py

bench: $(VENV)/.installed
	mkdir -p results
	$(BIN)/python -m tests.benchmarks results/benchmarks.json

schema: $(VENV)/.installed
	$(BIN)/python run_scenario.py --schema > scenarios/scenario.schema.json

$(VENV)/.installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

clean:
	rm -rf $(VENV) results .mypy_cache .ruff_cache .hypothesis
