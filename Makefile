# Everything a fresh machine needs is set up here: `make demo` to see it, `make test` to check it.
# Python 3.11 or later is all that must be there (and the ssh client, which Ansible uses).

.DELETE_ON_ERROR:
.PHONY: demo notebook docs test test-all lint $(LINTS) soak bench clean help

# The first that is new enough and works (a version manager may offer names that do not).
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Four at once, since most tests wait most of the time; those of a file that share a lab follow each
# other. The long ones come first.
BESIDE := -n 4 --no-loadscope-reorder
LINTS := lint-types lint-playbooks lint-imports lint-code
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# What is installed is installed anew when what is asked for changes.
STATE := $(firstword $(shell cksum pyproject.toml))
FOR_DEMO := $(VENV)/ready-demo-$(STATE)
FOR_NOTEBOOK := $(VENV)/ready-notebook-$(STATE)
FOR_DOCS := $(VENV)/ready-docs-$(STATE)
FOR_TEST := $(VENV)/ready-test-$(STATE)
# JupyterLab refuses to be root's, who often is the only user of a container.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# Nothing of another environment may act here.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

help:
	@echo "make demo    measure the embedded lab and draw the result, in about half a minute"
	@echo "make notebook  open JupyterLab with the first notebook"
	@echo "make docs    build the documentation, in build/site"
	@echo "make test    lint, types, import contracts, unit and embedded tests, the notebooks"
	@echo "make test-all  what make test leaves out: the slow tests, and real hosts"
	@echo "make lint    the first three of these"
	@echo "make soak    the long randomised runs"
	@echo "make bench   the measurements"
	@echo "make clean   remove what was set up"

demo: $(FOR_DEMO)
	$(BIN)/dfaas-lab demo

notebook: $(FOR_NOTEBOOK)
	$(BIN)/jupyter lab notebooks/01_first_run.ipynb $(AS_ROOT) $(JUPYTER)

docs: $(FOR_DOCS)
	$(BIN)/python docs/build.py

test: lint
	$(BIN)/python -m pytest $(BESIDE) -m "not slow" --nbmake notebooks tests/embedded tests/unit

# With DFAAS_LAB_TESTBED=1 also the ring on real hosts, which changes this machine's network.
test-all: $(FOR_TEST)
	$(BIN)/python -m pytest $(BESIDE) -m "slow or hypothesis" --hypothesis-profile thorough \
		tests/embedded tests/unit
	$(BIN)/python -m pytest tests/browser
	$(if $(DFAAS_LAB_TESTBED),$(BIN)/python -m pytest tests/testbed)

lint: $(FOR_TEST)
	@$(MAKE) --no-print-directory -j 2 --output-sync=target $(LINTS)

lint-code:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

lint-imports:
	$(BIN)/lint-imports

lint-playbooks:
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/ansible-lint --offline -q --profile production playbooks

soak: $(FOR_TEST)
	$(BIN)/python -m pytest tests/soak

bench: $(FOR_TEST)
	$(BIN)/python -m pytest -q -s tests/benchmarks

clean:
	rm -rf $(VENV) dist build .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/made:
	@test -n "$(PYTHON)" || \
		{ echo "Python 3.11 or later is needed. Name it: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(FOR_DEMO): $(VENV)/made
	@echo "Installing dfaas_lab into $(VENV) (a minute, once) ..."
	@test -e $(FOR_TEST) || $(PIP) install -e '.[local]'
	@touch $@

$(FOR_NOTEBOOK): $(VENV)/made
	@echo "Installing dfaas_lab and JupyterLab into $(VENV) (a minute or two, once) ..."
	@test -e $(FOR_TEST) || $(PIP) install -e '.[local,notebook]'
	@touch $@

$(FOR_DOCS): $(VENV)/made
	@echo "Installing dfaas_lab and Sphinx into $(VENV) (a minute or two, once) ..."
	@test -e $(FOR_TEST) || $(PIP) install -e '.[local,notebook,docs]'
	@touch $@

$(FOR_TEST): $(VENV)/made
	@echo "Installing dfaas_lab and its tests into $(VENV) (a minute or two, once) ..."
	@$(PIP) install -e '.[local,notebook,docs,test]'
	@touch $@
