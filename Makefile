# One line a target; the work is done by the scripts in .ci, which also run without make.
MAKEFLAGS += --no-print-directory
ARGS =
FIDOKIT_FUZZ ?= 100000
FIDOKIT_KILLS ?= 500
FIDOKIT_SOAK ?= 100000

.PHONY: help demo test test-all kernel-test matrix packages check bench fuzz soak lock docs site clean

help: ## this list
	@sed -n 's/^\([a-z-]*\): .*##/\1\t/p' Makefile | expand -t 13

demo: ## the main job on a virtual token, told step by step
	@.ci/in-venv run fidokit $(ARGS) demo

test: ## the tests that need nothing but Python; ARGS='tests/openssh -x' for some
	@.ci/in-venv test python -u -m pytest -q -n auto -m "not rest" $(ARGS)

test-all: ## all tests: stock programs, a kernel, a compiler; installs Debian packages
	@.ci/in-venv test-all python -u -m pytest -q -n auto --dist loadgroup $(ARGS)

kernel-test: ## the tests on a real kernel alone, in a virtual machine
	@.ci/in-venv test-all python -m pytest -q tests/kernel --durations=10 $(ARGS)

matrix: ## tests/interop on Debian 11, 13 and sid; ARGS=--chosen for a tenth; needs root
	@.ci/in-venv matrix python -u -m tests.matrix all $(ARGS)

packages: ## build the Debian packages and the wheel, install them on fresh Debian 12 and 13; needs root
	@.ci/in-venv test-all python -m pytest -q tests/packages --durations=10 $(ARGS)

check: ## ruff, mypy, import-linter, signals, CI definitions; ARGS=mypy for one
	@.ci/check $(ARGS)

bench: ## measure, and rewrite the table in docs/benchmarks.md
	@.ci/in-venv test-all python -m benchmarks $(ARGS)

fuzz: ## FIDOKIT_FUZZ mutated inputs for each parser, and guided ones for the authenticator
	@FIDOKIT_FUZZ=$(FIDOKIT_FUZZ) .ci/in-venv fuzz python -m pytest -q -k fuzz $(ARGS)
	@FIDOKIT_FUZZ=$(FIDOKIT_FUZZ) .ci/in-venv fuzz python -m tests.fuzz.fuzz_authenticator

soak: ## FIDOKIT_KILLS rounds of kill -9 against a token's store, FIDOKIT_SOAK requests to the agent
	@FIDOKIT_KILLS=$(FIDOKIT_KILLS) FIDOKIT_SOAK=$(FIDOKIT_SOAK) .ci/in-venv test-all python -m pytest -q -k "kill or soak" $(ARGS)

docs: ## rewrite transcripts, recordings, and tables of models and conformance in docs/ from real runs
	@.ci/in-venv test-all python -m tests.docs.rewrite $(ARGS)
	@.ci/in-venv test-all python -m tests.docs.recordings
	@.ci/in-venv test-all python -m tests.models.page
	@.ci/in-venv test-all python -m tests.virtual.quirks.page
	@.ci/in-venv test-all python -m pytest -q -m check --conformance=write

site: ## the pages of docs/ as a web site, into build/site; strict about links and anchors
	@.ci/in-venv site env NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet $(ARGS)

lock: ## newest versions that pyproject.toml allows, with hashes, into constraints.txt and debian/vendored
	@.ci/in-venv lock python .ci/lock.py

clean: ## remove what the other targets made
	@rm -rf .venv .setup.lock build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} + ; rm -rf src/*.egg-info
