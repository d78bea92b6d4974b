# `make demo` starts ZenWeb with its examples; `make test` runs every check there is.
# VENV=folder, PYTHON=interpreter, PORT=9000, ONCE=1 and JOBS=3 (test processes) are understood where they make sense.

VENV ?= .venv
BIN := $(VENV)/bin
BUILT := static/dist/zenweb.js
PAGE_SOURCES := package.json package-lock.json $(shell find static -path static/dist -prune -o -type f -print)
# The checks load Django's settings, which refuse to start without a key.
CHECK_SETTINGS := DJANGO_SETTINGS_MODULE=tests.settings

# Every process would compile the thousand modules that it imports: it doubles the time of a start and of the checks.
unexport PYTHONDONTWRITEBYTECODE

# What PostgreSQL does otherwise than SQLite shows where runs and accounts are written.
ON_POSTGRESQL := tests/runs tests/wire tests/accounts tests/templates/test_templates_api.py tests/templates/test_curation_api.py tests/web \
	tests/cli/test_login.py tests/cli/test_run.py tests/sdk/test_client_with_server.py tests/faults/test_database.py \
	--ignore=tests/web/test_another_language.py \
	--ignore=tests/runs/test_environments.py --ignore=tests/runs/test_warm_parents.py \
	--ignore=tests/runs/test_sdk_wheel.py --ignore=tests/runs/test_code_folders.py
# Side by side, more than there are cores: much of what the slow tests do is to wait for processes.
# tests/conftest.py says which tests stay together.
PYTEST = $(BIN)/python -m pytest --numprocesses $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder

docs: $(VENV)/.dev
	@$(BIN)/python -m tools.asynchronous
	@$(BIN)/python -m tools.sdk_reference
	@$(CHECK_SETTINGS) $(BIN)/python manage.py permissions --into docs/permissions.md
	@$(BIN)/python -m tests.cli.reference docs/command-line.md

.PHONY: docs help demo test test-all check pytest pytest-postgresql faults zenml-clients bench lock static wheel chromium faketime clean
.DELETE_ON_ERROR:

help:
	@echo "make demo     start ZenWeb with its examples (ONCE=1: run one, report, stop; PORT=9000: listen there)"
	@echo "make test     every check: format, lint, types, imports, migrations, tests with broker, worker and browser"
	@echo "make test-all the same, with every test on SQLite and on PostgreSQL, and the long form of 'make faults'"
	@echo "make check    the same without the tests"
	@echo "make faults   the long form of the tests that kill and freeze processes, on both (SEED=2: other moments)"
	@echo "make zenml-clients  ZenML's own clients, old and new, against a server of this version"
	@echo "make bench    measure ZenWeb beside bare Celery (ROUNDS=9), and lists of a million runs (RUNS=10000)"
	@echo "make static   build the pages' styles and scripts"
	@echo "make wheel    build the package, with what 'make static' built"
	@echo "make docs     write into docs what is told by the code"
	@echo "make lock     compile requirements/*.txt again (UPGRADE=1: to the newest versions)"
	@echo "make clean    remove what was built (never data)"

# Python and the pages' packages are fetched side by side.
# `exec`: Ctrl-C and TERM reach ZenWeb itself, which ends with 0, so that make has nothing to say.
demo:
	@$(MAKE) --silent --no-print-directory --jobs=2 $(VENV)/.demo $(BUILT)
	@exec $(BIN)/zenweb up --demo $(if $(ONCE),--once)

test: check pytest
	@$(MAKE) --silent --no-print-directory pytest-postgresql

test-all: export ZENWEB_FAULTS = long
test-all: check pytest
	@$(MAKE) --silent --no-print-directory pytest-postgresql ON_POSTGRESQL=tests

check: $(VENV)/.dev
	@mkdir -p build
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "Run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/lint-imports --no-cache > build/imports.log || { cat build/imports.log; exit 1; }
	@$(CHECK_SETTINGS) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/mypy

pytest: $(VENV)/.dev $(BUILT) chromium faketime
	@$(PYTEST) --basetemp=build/pytest $(PYTEST_OPTIONS)

faults: export ZENWEB_FAULTS = long
faults: export ZENWEB_FAULTS_SEED = $(or $(SEED),1)
faults: $(VENV)/.dev faketime
	@$(BIN)/python -m pytest tests/faults --basetemp=build/pytest $(PYTEST_OPTIONS)
	@$(MAKE) --silent --no-print-directory pytest-postgresql ON_POSTGRESQL=tests/faults JOBS=1

# An old line and the newest. They are fetched once; no other test needs them.
ZENML_CLIENTS := 0.84.3 0.98.0

zenml-clients: $(VENV)/.dev $(BUILT) $(ZENML_CLIENTS:%=build/zenml-%/.installed)
	@$(BIN)/python -m tests.zenml_clients $(ZENML_CLIENTS:%=build/zenml-%/bin/python)

build/zenml-%/.installed: | $(BIN)/python
	@echo "Installing ZenML's client $*"
	@$(BIN)/python -m venv build/zenml-$* && .ci/install build/zenml-$*/bin "zenml==$*" && touch $@

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks --rounds $(or $(ROUNDS),5)
	@$(BIN)/python -m benchmarks.size --runs $(or $(RUNS),1000000)

# The tests start a PostgreSQL of their own and remove it with its databases: none has to be dropped before.
pytest-postgresql: $(VENV)/.dev $(BUILT) chromium faketime
	@ZENWEB_TEST_DATABASE=postgresql $(PYTEST) --reuse-db --basetemp=build/pytest-postgresql $(ON_POSTGRESQL) $(PYTEST_OPTIONS)

# Environments. A stamp per requirements file makes the second start immediate.
$(BIN)/python:
	@python="$$(.ci/find-python $(PYTHON))" && echo "Creating $(VENV)" && "$$python" -m venv $(VENV)

$(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing what requirements/$*.txt pins"
	@.ci/install $(BIN) --require-hashes -r $<
	@.ci/install $(BIN) --no-deps --no-build-isolation --editable .
	@mkdir -p build && touch $@

# Pages. Node comes from a pinned Python package where the machine has none.
static: $(BUILT)

$(BUILT): node_modules/.installed $(PAGE_SOURCES)
	@echo "Building the pages' styles and scripts"
	@PATH="$(abspath $(BIN)):$$PATH" npm run --silent build && touch $@

node_modules/.installed: package.json package-lock.json | $(BIN)/python
	@.ci/has-node || .ci/install $(BIN) --require-hashes -r requirements/node.txt
	@PATH="$(abspath $(BIN)):$$PATH" npm ci --no-progress --loglevel=error > /dev/null && touch $@

wheel: $(VENV)/.demo $(BUILT)
	@$(BIN)/python -m hatchling build --target wheel

# Tests in a browser need one; being root on Debian is enough to get it.
chromium:
	@command -v chromium chromium-browser google-chrome > /dev/null || .ci/get-chromium

faketime:
	@ls /usr/lib/*/faketime/libfaketimeMT.so.1 > /dev/null 2>&1 || .ci/get-faketime

LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
UV := $(shell command -v uv || echo build/lock/bin/uv)

build/lock/bin/uv:
	@"$$(.ci/find-python $(PYTHON))" -m venv build/lock && build/lock/bin/pip install --quiet uv

lock: $(UV)
	@$(LOCK) pyproject.toml requirements/build.in --extra server --extra postgresql -o requirements/server.txt
	@$(LOCK) pyproject.toml requirements/build.in requirements/demo.in --extra server --extra redis \
		--constraint requirements/server.txt -o requirements/demo.txt
	@$(LOCK) pyproject.toml requirements/build.in requirements/demo.in requirements/dev.in --extra server --extra postgresql --extra redis \
		--constraint requirements/demo.txt -o requirements/dev.txt
	@$(LOCK) requirements/node.in -o requirements/node.txt

clean:
	@rm -rf build dist static/dist staticfiles node_modules test-results *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
