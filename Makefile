# Developers and CI use these targets. `make` without a target lists them. No target needs root, and all packages are
# installed in .venv.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

PROTOS := $(sort $(shell find protos -name '*.proto'))

# $(call generate,FOLDER) writes the Python code of the protos into a folder, and their description with the comments.
generate = $(BIN)/python -m grpc_tools.protoc -Iprotos \
	--python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) \
	--include_source_info --descriptor_set_out=$(1)/tallykeeper/described_protos.binpb $(PROTOS)

# $(call pin,FOLDER,OPTIONS) pins the requirements of a folder's pyproject.toml in its requirements/. Packages that are
# pinned there already keep their version. Extras are named with their package. Otherwise pip may find a package's extra
# before the package, look for its newest version, and refuse that version because it has no hash. No package index is
# named, because the user chooses the index.
pin = $(call compile,$(1),$(2)) --output-file requirements/runtime.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/dev.txt --group dev --extra otel --constraint requirements/runtime.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/bench.txt --group bench --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/compiler.txt --group compiler --constraint requirements/dev.txt >/dev/null && \
	$(call compile_group,$(1),$(2),build) --constraint requirements/dev.txt >/dev/null && \
	$(call compile_group,$(1),$(2),manylinux) --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/sbom.txt --group sbom --constraint requirements/dev.txt >/dev/null && \
	$(call compile_group,$(1),$(2),deploy) --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/image.txt --extra otel --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/docs.txt --group docs --constraint requirements/dev.txt >/dev/null && \
	$(call compile,$(1),$(2)) --output-file requirements/console.txt --extra console --extra otel --constraint requirements/dev.txt --constraint requirements/docs.txt >/dev/null && \
	$(call compile_group,$(1),$(2),browser) --constraint requirements/dev.txt --constraint requirements/console.txt >/dev/null
compile = $(compile_options) $(2) pyproject.toml
# $(call compile_group,FOLDER,OPTIONS,GROUP) pins a group alone, without what the project itself requires.
compile_group = $(compile_options) $(2) --group $(3) --output-file requirements/$(3).txt
compile_options = $(BIN)/uv pip compile --quiet --directory $(1) --universal --generate-hashes --no-emit-index-url \
	--no-strip-extras --custom-compile-command 'make lock'

# $(call beside_lint,COMMAND) runs make lint and a command of pytest at the same time, because the tests wait more than they
# compute. It prints what lint said after the tests, and fails if one of both fails. Ctrl-C ends both. The variable make is
# for `make -n`, which would run a recipe that names $(MAKE).
beside_lint = lint_report=$$(mktemp) && trap 'exit 130' INT TERM && trap 'kill $$lint 2>/dev/null; rm -f "$$lint_report"' EXIT; \
	$(make) --no-print-directory lint >"$$lint_report" 2>&1 & lint=$$!; \
	$(1); tests_status=$$?; \
	wait $$lint; lint_status=$$?; lint=; \
	echo; cat "$$lint_report"; \
	[ $$lint_status -eq 0 ] || echo 'make lint has failed: see above.' >&2; \
	[ $$tests_status -eq 0 ] || exit $$tests_status; \
	exit $$lint_status
make = $(MAKE)
pytest = $(BIN)/pytest -n 4 --dist worksteal
# a long test may build a program, for which a busy machine takes minutes
long_timeout = -o faulthandler_timeout=900

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup gen gen-sdks released run demo console test test-all test-long test-console lint bench compiled test-compiled chaos files conformance upgrade-check sdks deploy-check image-check docs docs-links dist dist-compiled test-dist release-check publish-chart publish-release check lock clean

help: ## list the targets
	@echo 'make <target> [ARGS="…"]'
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target purpose; do \
		printf '  %-15s %s\n' "$$target" "$$purpose"; \
	done

setup: $(INSTALLED) ## install everything into .venv (the other targets do so if necessary)
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
	@echo 'The Python code is current. make gen-sdks regenerates the code of Go, TypeScript and Rust.'

gen-sdks: $(INSTALLED) ## regenerate the code of Go, TypeScript and Rust in client/, as far as their tools are there
	@$(BIN)/python -m tests.sdks --generate $(ARGS)

released: $(INSTALLED) ## record the present contract as released: later changes must not break it
	@$(BIN)/buf build --exclude-source-info -o tools/released_protos.binpb

run: $(INSTALLED) ## start the server on 127.0.0.1:50051, and 50080 for HTTP, with its data in ./tallykeeper-data
	@exec $(BIN)/tallykeeper serve $(ARGS)

demo: $(INSTALLED) ## play the demo against the running server
	@exec $(BIN)/tallykeeper demo $(ARGS)

console: $(INSTALLED) ## serve the console on http://127.0.0.1:50082/ (ARGS=--allow-changes: it may change stock)
	@$(PYTHON) tools/install.py console
	@exec $(BIN)/tallykeeper console $(ARGS)

test: $(INSTALLED) ## lint, and run the quick tests at the same time
	@$(call beside_lint,$(pytest) -m 'not long' $(ARGS))

test-all: $(INSTALLED) ## lint, and run all tests, with faults and fuzzing, and measure their coverage
	@$(call beside_lint,$(pytest) --cov --cov-report=term-missing:skip-covered $(long_timeout) $(ARGS))

test-long: $(INSTALLED) ## run the tests that make test omits: faults, fuzzing, clusters, the model
	@$(pytest) -m long $(long_timeout) $(ARGS)

test-console: $(INSTALLED) ## test the console in a Chromium that is installed; it is skipped with a reason if there is none
	@$(PYTHON) tools/install.py console browser || echo 'The tests in a browser are skipped.'
	@$(BIN)/pytest -m long tests/console $(ARGS)

lint: $(INSTALLED) ## check Python, Lua and protos without running them, and check that the generated code is current
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/buf breaking --against tools/released_protos.binpb
	@$(BIN)/python -m tools.lint_lua
	@$(BIN)/python -m tools.lint_english
	@if command -v luacheck >/dev/null; then \
		$(BIN)/python -c 'import tallykeeper_lua; print(tallykeeper_lua.source())' | luacheck --quiet --no-color - && \
		luacheck --quiet --no-color lua/tallykeeper_lua/reads; fi
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(call generate,"$$fresh") && \
		diff -r -x '*.proto' -x '__init__.py' -x '__pycache__' -x 'py.typed' "$$fresh" protos || { \
		echo 'The generated code differs from the protos: run make gen.' >&2; exit 1; }

bench: $(INSTALLED) ## measure, in 15 minutes at most, and write the results to bench/results (ARGS=--quick: in three, ARGS=--compiled: with compiled modules)
	@$(PYTHON) tools/install.py bench $$({ command -v cc || command -v gcc || command -v clang; } >/dev/null || echo compiler)
	@$(BIN)/python -m bench $(ARGS)

compiled: $(INSTALLED) ## compile the server's busiest modules to C, into build/compiled; this needs a C compiler
	@$(BIN)/python -m tools.compiled_server build/compiled

test-compiled: compiled ## run the quick tests with the compiled modules (ARGS=tests/rpc: those of a folder)
	@PYTHONPATH=build/compiled/server $(BIN)/pytest -n 4 --dist worksteal -m 'not long' $(ARGS)

chaos: $(INSTALLED) ## inject faults under load and judge the answers (ARGS="--seconds 600": longer, ARGS=--planted)
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
		$(PYTHON) tools/install.py compiler
	@$(BIN)/python -m tests.chaos $(ARGS)

files: $(INSTALLED) ## import 300 files with the habits of spreadsheets and kill 50 imports (ARGS="--files 20 --kills 5")
	@$(BIN)/python -m tests.files $(ARGS)

conformance: $(INSTALLED) ## run the suites of other projects, clients during restarts, and the cases of all SDKs
	@$(BIN)/python -m tests.conformance

upgrade-check: $(INSTALLED) ## upgrade from an older version and back under load (ARGS="--revision REV": from that one)
	@$(BIN)/python -m tests.upgrades $(ARGS)

sdks: $(INSTALLED) ## run the tests and lints of the SDKs, and the examples (ARGS=go: those of one language)
	@$(BIN)/python -m tests.sdks $(ARGS)

docs: $(INSTALLED) ## build the site of the documents into site/ and check every link between them (ARGS=FOLDER: build into this folder)
	@$(PYTHON) tools/install.py docs
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --conf-dir tools/docs_site --doctree-dir .doctrees . $(or $(ARGS),site)

docs-links: $(INSTALLED) ## check the documents' links to other sites, which takes minutes and the internet
	@$(PYTHON) tools/install.py docs
	@$(BIN)/python -m sphinx --builder linkcheck --keep-going --quiet --fresh-env --conf-dir tools/docs_site --doctree-dir .doctrees . .doctrees/links

deploy-check: $(INSTALLED) ## check image, chart, unit, alerts and dashboard with the tools of their projects
	@$(BIN)/python -m tests.deploy $(ARGS)

image-check: $(INSTALLED) ## build the image with Podman and check how it runs; it says why where that cannot be done
	@$(BIN)/python -m tests.deploy.image $(ARGS)

dist: $(INSTALLED) ## build wheel and sdist twice, compare them, and write them with their SBOM into dist/ (ARGS=FOLDER: there)
	@$(PYTHON) tools/install.py sbom
	@$(BIN)/python -m tools.dist $(or $(ARGS),dist)

dist-compiled: $(INSTALLED) ## build the wheel with compiled modules for this Python twice, compare both, and write it into dist/ (ARGS=FOLDER: there)
	@$(PYTHON) tools/install.py manylinux
	@$(BIN)/python -m tools.compiled_dist $(or $(ARGS),dist)

test-dist: $(INSTALLED) ## install what is in dist/ as a user does, without a compiler, and play the demo (ARGS=FOLDER: from there)
	@$(BIN)/python -m tests.packaging $(or $(ARGS),dist)

release-check: $(INSTALLED) ## check that version, chart and changelog agree (ARGS=v1.2.3: with a tag)
	@$(BIN)/python -m tools.release $(ARGS)

publish-chart: $(INSTALLED) ## package the chart with helm and push it (the workflow of a release calls this)
	@helm package deploy/helm/tallykeeper --destination dist
	@helm push dist/tallykeeper-[0-9]*[0-9].tgz oci://ghcr.io/tallykeeper/charts

publish-release: $(INSTALLED) ## make the release on GitHub from dist/ and the changelog (the workflow of a release calls this)
	@notes=$$($(BIN)/python -m tools.release --notes) && gh release create "$$GITHUB_REF_NAME" --verify-tag --notes "$$notes" dist/*

check: test-all ## check a change: make test-all, and a comparison of the lock with pyproject.toml (needs the package index)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && cp -r pyproject.toml requirements "$$fresh" && \
		$(call pin,"$$fresh") && diff -r "$$fresh/requirements" requirements || { \
		echo 'The lock differs from pyproject.toml: run make lock.' >&2; exit 1; }

lock: $(INSTALLED) ## pin the requirements of pyproject.toml (ARGS=--upgrade: in their newest versions)
	@$(call pin,.,$(ARGS))

clean: ## remove the results of all targets, but not the server's data in ./tallykeeper-data
	@rm -rf $(VENV) .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .doctrees build dist site
	@rm -rf client/*/target client/typescript/node_modules client/typescript/build client/typescript/dist
	@rm -rf examples/*/bin examples/*/build examples/*/obj examples/*/generated examples/*/node_modules examples/*/target examples/typescript/*.js
	@rm -rf tests/conformance/runners/*/target tests/conformance/runners/*/*/target tests/sdks/*/target
	@find protos server client lua tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -e tallykeeper-data ]; then echo 'Kept: ./tallykeeper-data, the data of the server.'; fi
