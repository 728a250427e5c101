# One command each. Everything is fetched and built into ignored folders of this checkout or the
# user's cache, is reused the next time, and leaves nothing running.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PYTHONPATH := operator:.
export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help tour demo test test-unit test-cluster test-istio test-all check bench bench-statistics bench-traffic generate lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: set PYTHON=...")'
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: operator/requirements.lock | $(VENV)/bin/python
	@echo "Installing what the operator needs (about half a minute) ..."
	@$(PY) -m pip install --quiet --require-hashes -r operator/requirements.lock
	@touch $@

$(VENV)/tests.stamp: tests/requirements.lock | $(VENV)/bin/python
	@echo "Installing what the tests need (about a minute) ..."
	@$(PY) -m pip install --quiet --require-hashes -r tests/requirements.lock
	@touch $@ $(VENV)/runtime.stamp

tour: $(VENV)/runtime.stamp ## two rollouts on virtual time, drawn in the terminal; no cluster, 15 seconds
	@$(PY) -m modelrollout.tour

demo: $(VENV)/tests.stamp ## the whole line for real: cluster, models, traffic, four rollouts (KEEP=1, SEED=n)
	@$(PY) -m examples.demo

test: test-unit test-cluster ## everything that is checked before a change lands

test-unit: $(VENV)/tests.stamp ## pure code and whole rollouts on virtual time
	@$(PY) -m pytest tests/unit tests/stories -m "not long" -n 2 -q

test-cluster: $(VENV)/tests.stamp ## end to end on a real control plane with real traffic
	@$(PY) -m tests.cluster run --image mlserver --image observer -- $(abspath $(PY)) -m pytest tests/cluster/selftest tests/dataplane tests/shadow tests/e2e -m "not long" -n 4 --dist loadgroup -q

test-istio: $(VENV)/tests.stamp ## the istio provider on Istio's own control plane (built once: a quarter of an hour)
	@$(PY) -m tests.istio
	@$(PY) -m tests.cluster run --image observer -- $(abspath $(PY)) -m pytest tests/istio -q

test-all: test-unit $(VENV)/tests.stamp ## what takes longer, too
	@$(PY) -m pytest tests/unit tests/stories -m long -n 2 -q
	@$(PY) -m tests.cluster run --image mlserver --image observer -- $(abspath $(PY)) -m pytest tests/cluster/selftest tests/dataplane tests/shadow tests/e2e -n 4 --dist loadgroup -q

check: $(VENV)/tests.stamp ## style, types, arrows between the rooms, generated files
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy operator tests examples
	$(VENV)/bin/lint-imports
	$(PY) -m modelrollout.api.crd --check
	$(PY) -m modelrollout.domain.transitions --check
	@test ! -e operator/__init__.py || { echo "operator/__init__.py would shadow the standard library: remove it"; exit 1; }

bench: $(VENV)/tests.stamp ## figures with ratios, written to docs/benchmarks.md (traffic and shadow: bench-traffic)
	@$(PY) -m tests.bench

bench-statistics: $(VENV)/tests.stamp ## simulated rollouts, beside the rules of others: docs/benchmarks/statistics.md (QUICK=1: a minute)
	@$(PY) -m tests.bench.statistics $(if $(QUICK),--quick)

bench-traffic: $(VENV)/tests.stamp ## the router and shadows: docs/benchmarks/router.md and shadow.md, quoted in docs/benchmarks.md (needs wrk)
	@$(PY) -m tests.bench.router --write
	@$(PY) -m tests.bench.shadow --write
	@$(PY) -m tests.bench.quoted

generate: $(VENV)/tests.stamp ## files made from code: the CRD, the chart's copy, the table of moves
	$(PY) -m modelrollout.api.crd --write
	$(PY) -m modelrollout.domain.transitions --write

lock: ## pin all dependencies anew, with hashes (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o operator/requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml tests/requirements.in -o tests/requirements.lock
	for image in operator/observer.in tests/cluster/images/*.in; do uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $$image -o $${image%.in}.lock; done

clean: ## remove what was installed into this checkout
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis build
