# The one door for commands; CI uses the same ones. `make help` lists them.
#
#   make serve                    build, then serve the markup site on http://127.0.0.1:8000
#   make test                     build, then run every test but those that need Nginx
#   make test PYTHON=python3.13   the same with another interpreter

PYTHON ?= python3
BASE_PYTHON := $(notdir $(PYTHON))
VENV ?= .venv$(if $(filter-out python3,$(BASE_PYTHON)),-$(BASE_PYTHON))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
COMPILER := $(firstword $(foreach cc,$(CC) cc gcc clang,$(shell command -v $(cc) 2>/dev/null)))

PORT ?= 8000
BIND ?= 127.0.0.1:$(PORT)
WORKERS ?=
THREADS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
# An environment of its own, so that a server that cannot be built there breaks nothing here.
BENCH_VENV ?= .venv-bench$(if $(filter-out python3,$(BASE_PYTHON)),-$(BASE_PYTHON))

ifeq ($(COMPILER),)
BUILD_ENV := PORTWAY_NO_EXTENSIONS=1
BUILD_NOTE := No C compiler found: building the uncompiled form of Portway (slower, same behaviour).
else
BUILD_ENV := PORTWAY_REQUIRE_EXTENSIONS=1
BUILD_NOTE := Building Portway with $(COMPILER).
endif

.DEFAULT_GOAL := help
.PHONY: help build serve superuser test test-uncompiled test-chain check format lint types layers docs dist clean bench bench-costs bench-setup stress stress-here endurance
.DELETE_ON_ERROR:

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Portway needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.13" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Each stamp is what a set of requirements was installed for; touching one of its inputs installs again.
COMPILED_SOURCES := $(shell grep -oE '"portway\.[a-z_.]+"' setup.py | tr -d '"' | sed 's|\.|/|g; s|^|src/|; s|$$|.py|')

$(VENV)/.built: $(BIN)/python pyproject.toml setup.py $(COMPILED_SOURCES)
	@echo "$(BUILD_NOTE)"
	@$(BUILD_ENV) $(PIP) install --editable '.[all]'
	@touch $@

$(VENV)/.markup: $(VENV)/.built markup/requirements.txt
	@echo "Installing what the markup project needs"
	@$(PIP) install -r markup/requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.markup
	@echo "Installing what the tests need"
	@$(BUILD_ENV) $(PIP) install --editable '.[all,test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "Installing what the checks need"
	@$(BUILD_ENV) $(PIP) install --editable '.[all,test,check]'
	@touch $@

build: $(VENV)/.built ## create .venv and build Portway into it
	@$(BIN)/portway --version

# The site runs here as in production: DEBUG is off and the static files are collected under hashed names.
SITE_ENV := DJANGO_SECRET_KEY_FILE=var/secret_key
MANAGE := cd markup && $(SITE_ENV) $(CURDIR)/$(BIN)/python manage.py

markup/var/secret_key: | $(BIN)/python
	@mkdir -p $(@D)
	@umask 077 && $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))' > $@

serve: $(VENV)/.markup markup/var/secret_key ## build, then serve the markup site (PORT=, BIND=, WORKERS=, THREADS=)
	@$(MANAGE) migrate --noinput --verbosity 0
	@$(MANAGE) load_samples --if-empty
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@cd markup && exec env $(SITE_ENV) $(CURDIR)/$(BIN)/portway --bind $(BIND) --access-logfile - \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(THREADS),--threads $(THREADS))

superuser: $(VENV)/.markup markup/var/secret_key ## make an author who may use the admin of the markup site
	@$(MANAGE) migrate --noinput --verbosity 0
	@$(MANAGE) createsuperuser

test: $(VENV)/.test ## build, then run the tests; installs PostgreSQL where apt-get may (PYTEST_ARGS=)
	@deploy/install-postgresql || true
	@$(BIN)/portway --version
	@$(BUILD_ENV) $(BIN)/python -m pytest -m 'not chain' $(PYTEST_ARGS)

test-uncompiled: $(VENV)/.test
	@PORTWAY_NO_EXTENSIONS=1 $(BIN)/portway --version
	@PORTWAY_NO_EXTENSIONS=1 $(BIN)/python -m pytest -m 'not chain' $(PYTEST_ARGS)

# 200,000 random requests for each build of the worker, here and on the newest other Python at hand.
stress: stress-here ## random clients against one worker for some minutes, every answer checked (STRESS_ARGS=)
	@newest=$$(tests/stress/newest-python) || exit 0; \
	version='import sys; print(sys.version_info[:2])'; \
	[ "$$($$newest -c "$$version")" = "$$($(BIN)/python -c "$$version")" ] || \
		$(MAKE) --no-print-directory stress-here PYTHON=$$newest

stress-here: $(VENV)/.built
	@$(BIN)/python tests/stress/run.py $(STRESS_ARGS)

endurance: $(VENV)/.built ## steady load while the server changes in every way: nothing may fail (ENDURANCE_ARGS=)
	@$(BIN)/python tests/endurance/run.py $(ENDURANCE_ARGS)

test-chain: $(VENV)/.test ## follow requests through Debian's nginx, which is installed where it is missing
	@deploy/install-nginx
	@$(BIN)/python -m pytest -m chain $(PYTEST_ARGS)

check: format lint types layers test test-uncompiled ## format, lint, types, layers, then the tests on both builds

format: $(VENV)/.check
	@$(BIN)/ruff format --check

lint: $(VENV)/.check
	@$(BIN)/ruff check

types: $(VENV)/.check
	@$(BIN)/mypy

layers: $(VENV)/.check
	@$(BIN)/lint-imports

# In an environment of their own: what builds pages is not to decide which versions the tests run with.
DOCS_VENV := $(VENV)-docs

$(DOCS_VENV)/.docs: $(BIN)/python pyproject.toml
	@echo "Installing what the documentation is built with"
	@$(PYTHON) -m venv $(DOCS_VENV)
	@PORTWAY_NO_EXTENSIONS=1 $(DOCS_VENV)/bin/python -m pip --disable-pip-version-check -q install --editable '.[docs]'
	@touch $@

docs: $(DOCS_VENV)/.docs ## build the documentation into site/; warnings are errors
	@$(DOCS_VENV)/bin/sphinx-build -q -W --keep-going -b html -d build/doctrees docs site
	@echo "The documentation is in site/index.html"

$(VENV)/.peers: $(VENV)/.markup benchmarks/install_peers.py
	@echo "Installing the servers to compare with"
	@$(BIN)/python benchmarks/install_peers.py
	@touch $@

bench-setup:
	@benchmarks/install-tools
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) $(BENCH_VENV)/.peers

bench: bench-setup ## measure Portway beside other servers: half an hour or more (BENCH_ARGS=)
	@$(BENCH_VENV)/bin/python -m benchmarks run $(BENCH_ARGS)

bench-costs: bench-setup ## measure what Portway's costs grow with (BENCH_ARGS=)
	@$(BENCH_VENV)/bin/python -m benchmarks costs $(BENCH_ARGS)

dist: $(BIN)/python ## build the source distribution and a wheel into dist/
	@$(PIP) install build
	@rm -rf dist
	@$(BUILD_ENV) $(BIN)/python -m build --outdir dist .

clean: ## remove everything that was built or installed here
	rm -rf .venv .venv-* build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src markup tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find src -name '*.so' -delete
	rm -rf src/*.egg-info
