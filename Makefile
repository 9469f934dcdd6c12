# Everything runs from a fresh clone: each target first sets up .venv, once, with the versions of constraints.txt.
#   make demo            learn a detector response from Pythia events, end to end   (DEMO_ARGS="--quick", DEMO_OUT=DIR)
#   make test            the default tests, on two workers                          (TEST_ARGS="tests/data -k splits")
#   make test-slow       the slow tests, in a rotating order, for SLOW_MINUTES
#   make lint docs bench
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
SLOW_MINUTES ?= 30
DEMO_OUT ?= demo
DEMO_ARGS ?=
TEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-input -c constraints.txt
# One intra-operation thread a process: two test workers then use two cores, and results do not depend on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: help demo test test-slow lint format docs bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n 1,6p

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "castalia needs Python 3.11 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1); name another: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

# A stamp per set of extras, so that docs and bench cost nothing until they are asked for.
$(VENV)/stamp-main: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) (once; one to three minutes) ..."
	@$(PIP) -e ".[processes,dev]"
	@touch $@

$(VENV)/stamp-docs: $(VENV)/stamp-main
	@$(PIP) -e ".[docs]"
	@touch $@

$(VENV)/stamp-bench: $(VENV)/stamp-main
	@$(PIP) -e ".[compare]"
	@touch $@

demo: $(VENV)/stamp-main
	$(BIN)/castalia demo $(DEMO_ARGS) --overwrite -o $(DEMO_OUT)

test: $(VENV)/stamp-main
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TEST_ARGS)

test-slow: $(VENV)/stamp-main
	$(ONE_THREAD) $(BIN)/python tools/run_slow.py --minutes $(SLOW_MINUTES)

lint: $(VENV)/stamp-main
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: $(VENV)/stamp-main
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/stamp-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/stamp-bench
	$(BIN)/python benchmarks/check.py --quick

clean:
	rm -rf $(VENV) docs/_build docs/generated build dist .mypy_cache .pytest_cache .ruff_cache
