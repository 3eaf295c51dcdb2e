# `make help` says what can be made. Needs only make and Python 3.10 or newer; everything else goes into a virtual
# environment in this folder and is installed again only when the two files below change.
PYTHON ?= python3
PIP_ARGS ?=
REQUIREMENTS := pyproject.toml constraints.txt

# Two default OpenMP threads that wait for each other by spinning can be ten times slower than one.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo web test test-lowest test-newest test-arm lint ruff docs clean python

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: .venv-demo/installed  ## stream the bundled recording through the shipped model (installs no torch)
	.venv-demo/bin/python -m kws.demo.hear

web: .venv-demo/installed  ## a page that hears in the browser, in runs/web, served on http://localhost:8000
	.venv-demo/bin/python -m kws web -o runs/web --download
	.venv-demo/bin/python -m http.server --bind localhost --directory runs/web 8000

test: ruff  ## install everything, then ruff, mypy and pytest on every core; the ten slowest tests are named
	@echo "mypy beside pytest: it says here what it finds, and fails this target"
	@.venv/bin/mypy & mypy=$$!; \
	  .venv/bin/python -m pytest -n logical --dist loadfile --no-loadscope-reorder --durations=10; pytest=$$?; \
	  wait $$mypy && exit $$pytest

test-lowest: .venv-lowest/installed  ## pytest with the lowest version of every package that pyproject.toml allows
	.venv-lowest/bin/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

test-newest: .venv-newest/installed  ## pytest with the newest versions; with another Python: make test-newest PYTHON=python3.14
	.venv-newest/bin/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

test-arm: .venv-demo/installed  ## the bundled recording on an emulated 64-bit Arm, against this machine (Debian alone)
	.ci/arm .venv-demo/bin/python

lint: ruff  ## ruff and mypy alone
	.venv/bin/mypy

ruff: .venv/installed
	.venv/bin/ruff check
	.venv/bin/ruff format --check

docs: .venv/installed  ## the documentation, in build/docs/index.html; a warning is an error
	.venv/bin/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

clean:  ## remove the virtual environments and every cache
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find kws demo export recipes tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: EXTRAS := dev
.venv-demo/installed: EXTRAS := demo

# Editable, so that demo/ is found as kws.demo from inside this folder too.
.venv/installed .venv-demo/installed: $(REQUIREMENTS) | python
	@echo "making $(@D) and installing what '$(EXTRAS)' needs: this takes a minute or more"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

# uv is here for what pip cannot do: to take the lowest versions. Python 3.10 or 3.11: numpy 1.24 has no wheels for others.
.venv-lowest/installed: pyproject.toml | python
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(PIP_ARGS) uv
	$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --resolution lowest-direct --editable '.[dev]'
	touch $@

.venv-newest/installed: pyproject.toml | python
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet $(PIP_ARGS) --editable '.[dev]'
	touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo \
	  "kws needs Python 3.10 or newer, and $(PYTHON) is $$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo missing):" \
	  "name a newer one, for example: make test PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "$(PYTHON) cannot make virtual environments: install its venv package (Debian: apt install python3-venv)" \
	  >&2; exit 1; }
