# `make help` lists the targets. The first one that runs makes .venv under constraints.txt, with uv.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help demo test test-fast lint format docs bench clean

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

test-fast: $(READY)  ## the tests that take no more than about half a second each
	$(PYTEST) -m "not slow"

lint: $(READY)  ## format, rules and types, as CI asks for them
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(READY)  ## rewrite the code in the house format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

docs: $(READY)  ## the documentation as a site in build/site, links checked
	$(RUN) docs/build.py

bench: $(READY)  ## every benchmark, one after another
	@for script in benchmarks/*.py; do echo "$$script" && $(RUN) "$$script" || exit 1; done

clean:  ## remove .venv, caches and builds; runs/ and data/ stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './runs/*' -not -path './data/*' -prune -exec rm -rf {} +

# The file `ready` is written last and taken away first, so that an install that was cut short is never taken for a
# finished one: without it the whole folder is made anew. uv comes from pip, because it installs the rest in a sixth of
# pip's time; where it cannot be had, or cannot reach what pip is configured to reach, pip does it all. A Python
# without ensurepip, as Debian's without python3-venv, needs a uv that is there already.
INSTALL := install --constraint constraints.txt --editable '.[dev]'
PIP := $(RUN) -m pip --disable-pip-version-check
$(READY): pyproject.toml constraints.txt
	@$(if $(PYTHON),$(PYTHON),false) -c '$(SUITABLE)' 2>/dev/null || { \
		echo "vision-apps needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is none of them (python3 is" \
			"$$(python3 --version 2>&1)). Install one and name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@if [ -e $@ ]; then rm $@; elif [ -e $(VENV) ]; then \
		echo "$(VENV): no install that make has finished; it is removed"; rm -rf $(VENV); fi
	@echo "$(VENV): installing; the first time takes a minute, and 6 GB on Linux, where torch brings CUDA along"
	@set -x; [ -d $(VENV) ] || $(PYTHON) -m venv $(VENV) || \
		{ command -v uv && $(PYTHON) -m venv --clear --without-pip $(VENV); }
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH"; set -x; \
		$(PIP) install --constraint constraints.txt uv; \
		uv pip $(INSTALL) --python $(RUN) || { \
			: "no uv, or it failed: pip installs, which takes minutes"; $(PIP) $(INSTALL); }
	@touch $@
