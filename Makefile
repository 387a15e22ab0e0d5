# `make help` lists the targets. The first one that runs makes .venv under constraints.txt, with uv where it is installed.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help demo test test-fast lint format bench clean

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 2

VENV := .venv
READY := $(VENV)/ready
RUN := $(VENV)/bin/python
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## train colorization on the embedded scenes: no data, no account, minutes on two cores
	$(RUN) train.py task=colorization

test: $(READY)  ## every test
	$(PYTEST)

test-fast: $(READY)  ## the tests that take no more than about two seconds each
	$(PYTEST) -m "not slow"

lint: $(READY)  ## format, rules and types, as CI asks for them
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(READY)  ## rewrite the code in the house format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

bench: $(READY)  ## every benchmark, one after another
	@for script in benchmarks/*.py; do echo "$$script" && $(RUN) "$$script" || exit 1; done

clean:  ## remove .venv, caches and builds; runs/ and data/ stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './runs/*' -not -path './data/*' -prune -exec rm -rf {} +

# The file `ready` is written last and taken away first, so that an install that was cut short is never taken for a
# finished one: without it the whole folder is made anew.
$(READY): pyproject.toml constraints.txt
	@$(if $(PYTHON),$(PYTHON),false) -c '$(SUITABLE)' 2>/dev/null || { \
		echo "vision-apps needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is none of them (python3 is" \
			"$$(python3 --version 2>&1)). Install one and name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@if [ -e $@ ]; then rm $@; elif [ -e $(VENV) ]; then \
		echo "$(VENV): no install that make has finished; it is removed"; rm -rf $(VENV); fi
	@echo "$(VENV): installing; the first time takes minutes, and 6 GB on Linux, where torch brings CUDA along"
	@if command -v uv >/dev/null; then \
		set -ex; \
		[ -d $(VENV) ] || uv venv --quiet --python "$(PYTHON)" $(VENV); \
		uv pip install --quiet --python $(RUN) --constraint constraints.txt --editable '.[dev]'; \
	else \
		set -ex; \
		[ -d $(VENV) ] || $(PYTHON) -m venv $(VENV); \
		$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'; \
	fi
	@touch $@
