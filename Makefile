# Works with GNU make and Python >= 3.11; everything else is installed into $(VENV).

VENV       ?= .venv
PYTHON     ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
                $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
DEMO_HOME  ?= .ragwb/demo
DEMO_SERVE ?= 1
WORKERS    ?= 2

BIN := $(abspath $(VENV))/bin
RAGWB := $(BIN)/ragwb
DOCS := experiments/data/sample/docs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev demo serve test check lint notebooks sample bench quality clean
MAKEFLAGS += --no-print-directory

help:  ## what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# A stamp per set of packages: installed again when the requirements change.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "ragwb needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb into $(VENV) (a few minutes the first time)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb and its development tools into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb and its peers into $(VENV)"
	@$(PIP) -e '.[bench]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## the package, into .venv
dev: $(VENV)/.dev  ## the package and all tools of a contributor

demo: export RAGWB_HOME := $(abspath $(DEMO_HOME))
demo: install  ## ingest the sample company, ask three questions, serve the app (DEMO_SERVE=0: do not serve)
	@echo "1. Ingest $(DOCS)"
	@$(RAGWB) ingest $(DOCS)
	@echo; echo "2. Ask"
	@for question in \
	    "How many days of annual leave do full-time employees get?" \
	    "What does the seal kit K7-120-V cost?" \
	    "What torque does the A1-990-S need?"; do \
	    echo; echo "? $$question"; $(RAGWB) ask "$$question" || exit 1; done
	@echo
	@if [ "$(DEMO_SERVE)" = 0 ]; then echo "3. Not served: DEMO_SERVE=0"; \
	else echo "3. Serve (Ctrl-C ends it)"; trap 'exit 0' INT; $(RAGWB) serve; fi

serve: install  ## serve API and app on your own data folder (RAGWB_HOME, RAGWB_PORT)
	@trap 'exit 0' INT; $(RAGWB) serve

test: dev  ## everything: notebooks, tests, the state of the project
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

check: dev  ## only the state of the project: exports, clean notebooks, README, pins, paths, sizes
	@$(BIN)/python -m pytest -q tests/test_project.py

lint: dev  ## ruff and mypy
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy

notebooks: dev  ## run all notebooks in order, keep their outputs; clean, export, README
	@$(BIN)/python tests/notebooks.py

sample: dev  ## build the sample documents from their sources
	@$(BIN)/python experiments/data/build_sample.py

bench: $(VENV)/.bench  ## ragwb against its peers: table and reports/bench.json
	@$(BIN)/python experiments/bench.py

BENCH      ?= ../shared/bench
quality: dev  ## answer quality against its targets, on public data in $(BENCH): table and reports/quality.json
	@$(BIN)/python experiments/quality.py --bench $(BENCH)

clean:  ## remove caches, builds and the demonstration's data; keeps .venv and .ragwb
	rm -rf $(DEMO_HOME) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache _proc _docs
	find nbs ragwb tests experiments -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
