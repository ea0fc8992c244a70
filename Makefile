# `make rehearse` and `make test` are the two commands of the README; the rest are their parts.
.DELETE_ON_ERROR:
SHELL := bash
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PY := $(VENV)/bin/python

.PHONY: help rehearse values budget test checks unit lab-tests format

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

rehearse: $(READY) ## Set up all that is needed and run the gateway in the rehearsal cloud
	@$(PY) -m lab up
	@lab/rehearse.sh

values: $(READY) ## Print the hub's chart values of a stack, secrets masked: make values STACK=dev
	@$(PY) -m stacks.values_command $(STACK)

budget: $(READY) ## Decide and show how hard to brake, YES=1 applies it: make budget STACK=prod YES=1
	@$(PY) -m stacks.budget_job --stack $(STACK) $(if $(YES),--yes)

test: $(READY) ## Run all checks and all tests (CI runs this)
	@$(PY) -m tests.lanes

checks: $(READY) ## Lint and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

unit: $(READY) ## Tests that need no lab
	@$(VENV)/bin/pytest -q tests/unit

lab-tests: $(READY) ## Tests against the lab (brings it up)
	@$(VENV)/bin/pytest -q tests/lab

format: $(READY) ## Format the code
	@$(VENV)/bin/ruff format .

.venv: $(READY) ## Make the virtual environment

$(READY): requirements.txt
	@echo "… Python packages into $(VENV)" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and \
		"Python 3.11 or 3.12 is needed, this is " + sys.version.split()[0] + "; name one by PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@# By two at once, and compiled by all cores: pip does one file after the other.
	@parts=$$(mktemp -d); trap 'rm -r "$$parts"' EXIT; \
		awk -v folder="$$parts/" '/^[^ #]/ { entry++ } { print > (folder entry % 2) }' requirements.txt && \
		ls -d "$$parts"/* | xargs -n 1 -P 2 $(VENV)/bin/pip install --quiet --disable-pip-version-check \
			--no-compile --no-deps --require-hashes -r
	@$(VENV)/bin/pip check --quiet --disable-pip-version-check
	@$(PY) -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib
	@touch $@
