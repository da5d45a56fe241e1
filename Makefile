# Everything is done through these targets, on a developer's machine and in CI alike.
# `make` alone lists them. Nothing here needs root; all that is installed goes into .venv.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

PROTOS := $(shell find protos -name '*.proto')

# $(call generate,FOLDER) writes the Python code of the protos into a folder.
generate = $(BIN)/python -m grpc_tools.protoc -Iprotos \
	--python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) $(PROTOS)

# $(call pin,FOLDER,OPTIONS) pins what the pyproject.toml of a folder requires, in its requirements/. What is pinned
# there already keeps its version. Extras are named with their package: pip may otherwise meet a package's extra before
# the package, look for its newest version, and refuse that for want of a hash. No package index is named: which one to
# ask is for whoever installs to say.
pin = $(call compile,$(1),$(2)) --output-file requirements/runtime.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/dev.txt --group dev --constraint requirements/runtime.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/bench.txt --group bench --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/compiler.txt --group compiler --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/docs.txt --group docs --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/console.txt --extra console --group browser --constraint requirements/dev.txt >/dev/null
compile = $(BIN)/uv pip compile --quiet --directory $(1) --universal --generate-hashes --no-emit-index-url --no-strip-extras \
	--custom-compile-command 'make lock' $(2) pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup gen released run demo console test test-all test-long test-console lint bench chaos files conformance docs check lock clean

help: ## list the targets
	@echo 'make <target> [ARGS="…"]'
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target purpose; do \
		printf '  %-12s %s\n' "$$target" "$$purpose"; \
	done

setup: $(INSTALLED) ## install everything into .venv (the other targets do so when they must)
	@echo 'Ready: make run starts the server, make test runs the tests.'

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Tallykeeper needs Python 3.11 or newer. '$(PYTHON)' answers: $$($(PYTHON) --version 2>&1)" >&2; \
		echo "Name another, as in: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' lacks its venv module. Install it (Debian, Ubuntu: apt install python3-venv)" >&2; \
		echo "or name a Python that has it, as in: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) tools/install.py
	@touch $@

gen: $(INSTALLED) ## regenerate the Python code of the protos, beside them
	@$(call generate,protos)

released: $(INSTALLED) ## take the present contract as the one that is released: later changes may not break it
	@$(BIN)/buf build --exclude-source-info -o tools/released_protos.binpb

run: $(INSTALLED) ## start the server on 127.0.0.1:50051, its data in ./tallykeeper-data
	@exec $(BIN)/tallykeeper serve $(ARGS)

demo: $(INSTALLED) ## play the demo against the running server
	@exec $(BIN)/tallykeeper demo $(ARGS)

console: $(INSTALLED) ## serve the console on http://127.0.0.1:50082/ (ARGS=--allow-changes: it may change stock)
	@$(PYTHON) tools/install.py console
	@exec $(BIN)/tallykeeper console $(ARGS)

test: lint ## lint, then run the tests that are quick, in less than five minutes
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m 'not long' $(ARGS)

test-all: lint ## lint, then run all tests, faults and fuzzing included, and measure their coverage
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=term-missing:skip-covered $(ARGS)

test-long: $(INSTALLED) ## run the tests that make test leaves out: faults, fuzzing, clusters, the model
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m long $(ARGS)

test-console: $(INSTALLED) ## test the console in a Chromium that is installed; skipped with a reason where there is none
	@$(PYTHON) tools/install.py console
	@$(BIN)/pytest -m long tests/console $(ARGS)

lint: $(INSTALLED) ## check Python, Lua and protos without running them, and that the generated code is current
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/buf breaking --against tools/released_protos.binpb
	@$(BIN)/python -m tools.lint_lua
	@if command -v luacheck >/dev/null; then \
		$(BIN)/python -c 'import tallykeeper_lua; print(tallykeeper_lua.source())' | luacheck --quiet --no-color - && \
		luacheck --quiet --no-color lua/tallykeeper_lua/reads; fi
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call generate,"$$fresh") && \
		diff -r -x '*.proto' -x '__init__.py' -x '__pycache__' -x 'py.typed' "$$fresh" protos || { \
		echo 'The generated code is not what the protos give: run make gen.' >&2; exit 1; }

bench: $(INSTALLED) ## measure, in 15 minutes at most, and write the results to bench/results (ARGS=--quick: in three)
	@$(PYTHON) tools/install.py bench $$({ command -v cc || command -v gcc || command -v clang; } >/dev/null || echo compiler)
	@$(BIN)/python -m bench $(ARGS)

chaos: $(INSTALLED) ## inject faults under load and judge the answers (ARGS="--seconds 600": longer, ARGS=--planted)
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
		$(PYTHON) tools/install.py compiler
	@$(BIN)/python -m tests.chaos $(ARGS)

files: $(INSTALLED) ## import 300 files with the habits of spreadsheets and kill 50 imports (ARGS="--files 20 --kills 5")
	@$(BIN)/python -m tests.files $(ARGS)

conformance: $(INSTALLED) ## run the suites of other projects, clients during restarts, and the cases of all SDKs
	@$(BIN)/python -m tests.conformance

docs: $(INSTALLED) ## build the site of the documents into site/ and check every link between them (ARGS=FOLDER: there)
	@$(PYTHON) tools/install.py docs
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --conf-dir tools/docs_site --doctree-dir .doctrees . $(or $(ARGS),site)

check: test-all ## all that a change must pass: make test-all, and a lock that is current (asks the package index)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && cp -r pyproject.toml requirements "$$fresh" && \
		$(call pin,"$$fresh") && diff -r "$$fresh/requirements" requirements || { \
		echo 'The lock is not what pyproject.toml asks for: run make lock.' >&2; exit 1; }

lock: $(INSTALLED) ## pin the requirements of pyproject.toml (ARGS=--upgrade: at their newest versions)
	@$(call pin,.,$(ARGS))

clean: ## remove what the targets made; the server's data in ./tallykeeper-data stays
	@rm -rf $(VENV) .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .doctrees dist site
	@find protos server client lua tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -e tallykeeper-data ]; then echo 'Left as it is: ./tallykeeper-data, the data of the server.'; fi
