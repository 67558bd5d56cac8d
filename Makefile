# Needs Python >= 3.11 with pip, git and make; everything else is set up by the first target that wants it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
BEAM_READY := beam/.venv/.ready
PYTEST_ARGS ?=

export UV_PYTHON_DOWNLOADS := never
# The tests start hundreds of processes. Where this is set, each of them compiles what it imports.
test mutants: export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-scale test test-beam check mutants lint format profile dist release licences manifests checkov bench bench-docs chaos soak clean examples docs docs-serve

help: ## show this
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything that uv.lock pins, real Envoy included

demo: $(READY) ## send events through the whole system and show what became of each
	@$(BIN)/meshlab demo

demo-scale: $(READY) $(BEAM_READY) ## a backfill on Dask workers through real Envoys, and the function's rows beside it (EVENTS=1000 for fewer)
	@$(BIN)/python beam/demo/scale.py $(if $(EVENTS),--events=$(EVENTS))

examples: $(READY) ## run every project in examples/ as its README says, and print a line for each
	@$(BIN)/python -m pytest -v --no-header tests/examples/test_readmes.py -k runs_as

test: $(READY) $(BEAM_READY) ## run every test (PYTEST_ARGS="-k words" for some)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-beam: $(READY) $(BEAM_READY) ## run the tests of beam/ in its own environment
	@cd beam && .venv/bin/python -m pytest -q $(PYTEST_ARGS_BEAM)

check: $(READY) ## lint, types and the tests of what changed since the branch left main (CHECK_ARGS=--list shows which)
	@$(BIN)/python -m tools.check $(CHECK_ARGS)

mutants: $(READY) ## ask every mutant of the policies in infra/mesh; `make test` asks one of each operator
	@MUTANTS=all $(BIN)/python -m pytest -n 2 --dist loadfile -rP tests/infra/test_every_egress_condition_counts.py \
		tests/infra/test_every_bridge_condition_counts.py tests/infra/test_every_condition_counts.py \
		tests/infra/test_keyless.py tests/infra/test_diff_of_one_line.py

lint: $(READY) $(BEAM_READY) ## ruff and mypy --strict
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@cd beam && .venv/bin/mypy

format: $(READY) ## rewrite the code as ruff wants it
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

profile: $(READY) ## where the time of an event and of an import goes, as tables
	@$(BIN)/python -m tools.cost

dist: $(READY) ## build and check what a release consists of: wheels, source distributions, the bundle, bills of materials
	@$(BIN)/python -m tools.release.dist

release: $(READY) ## check that VERSION=X.Y.Z can be released, then make its commit and tag; pushes nothing
	@$(BIN)/python -m tools.release.prepare $(VERSION)

licences: $(READY) ## write docs/licences.md from what is installed; an unknown licence is refused
	@$(BIN)/python -m tools.release.licences

manifests: $(READY) ## write what follows from the descriptions of callers, services and teams in infra/mesh, and the tables of infra/terraform
	@$(BIN)/meshgen
	@$(BIN)/python -m meshgen.terraform

checkov: $(READY) ## ask checkov about infra/terraform; installs it beside the project at the first run
	@$(BIN)/python -m tests.infra.terraform.checkov_scan

bench: $(READY) ## the project against its peers, side by side in one run (ONLY="scale boot-ack" for some)
	@$(BIN)/python -m bench $(ONLY)

bench-docs: $(READY) ## put the newest results into docs/benchmarks.md, its charts and docs/cost.md
	@$(BIN)/python -m bench.publish

docs: $(READY) ## build the documentation site into build/site, links and anchors checked
	@$(BIN)/python -m docs.site

docs-serve: $(READY) ## build the site and show it on http://127.0.0.1:8000 (PORT=0 takes a free port)
	@$(BIN)/python -m docs.site --serve $(if $(PORT),--port=$(PORT))

chaos: $(READY) ## break everything while EVENTS=1000000 events flow, and account for each of them
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m tests.e2e.chaos_at_scale --events=$(or $(EVENTS),100000) --driver=$(or $(DRIVER),function)

soak: $(READY) ## an even load of RATE=500 events a second for SECONDS=3600, and the slope of memory
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m tests.e2e.soak --seconds=$(or $(SECONDS),3600) --rate=$(or $(RATE),500) --driver=$(or $(DRIVER),function)

clean: ## remove what these targets made
	rm -rf beam/.venv beam/.mypy_cache beam/.pytest_cache .venv .bootstrap build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# uv comes from PyPI by pip into a folder of its own, which works without venv or ensurepip and touches nothing
# that is installed; the locked one then takes its place in .venv.
$(READY): uv.lock pyproject.toml sdk/pyproject.toml function/pyproject.toml lab/pyproject.toml infra/contract/pyproject.toml infra/generator/pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"meshpass needs Python 3.11 or newer, and $(PYTHON) is {v[0]}.{v[1]}: set PYTHON=/path/to/a/newer/python3")'
	@set -e; uv=.venv/bin/uv; [ -x $$uv ] || uv=.bootstrap/bin/uv; \
	if ! [ -x $$uv ]; then \
		echo "fetching uv"; \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .bootstrap \
			"$$(sed -n 's/^ *"\(uv==[0-9.]*\)",$$/\1/p' pyproject.toml)"; \
	fi; \
	echo "installing what uv.lock pins into .venv"; \
	$$uv sync $$([ -t 2 ] || echo --quiet) --frozen --compile-bytecode --python "$(PYTHON)"
	@rm -rf .bootstrap
	@touch $@

# Beam and the function resolve protobuf differently, so beam/ has a lock and an environment of its own.
$(BEAM_READY): $(READY) beam/uv.lock beam/pyproject.toml
	@echo "installing what beam/uv.lock pins into beam/.venv"
	@cd beam && UV_PROJECT_ENVIRONMENT=.venv ../$(BIN)/uv sync $$([ -t 2 ] || echo --quiet) --frozen --compile-bytecode --python "$(PYTHON)"
	@touch $@
