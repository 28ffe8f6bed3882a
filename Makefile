# Both commands of the README, with all the set-up they need: `make report`, `make test`.

VENV ?= .venv
EXTRAS ?= dev
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# The tests start a hundred processes, none of which should compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: report test golden golden-check lint format docs site screenshots other lowest clean size imports

# Status 1 means "there are findings", which is what the bundled regression is there to show.
report: $(READY)
	$(BIN)/python -m gradcheck report || test $$? -eq 1

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The reports on every program of the repository, as files: `make golden`, and after a change of gradcheck
# `make golden-check BASE=main` shows what it does to any of them. OPTIONS='--no-fixes "inline_*"' makes it faster.
golden: $(READY)
	$(BIN)/python tools/golden.py write .golden/latest $(OPTIONS)

golden-check: $(READY)
	$(BIN)/python tools/golden.py check --base-rev $(or $(BASE),main) $(OPTIONS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Lines of code per stage, compared with the cap; and what imports what.
size: $(READY)
	$(BIN)/python tools/size.py --cap

imports: $(READY)
	$(BIN)/python tools/imports.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pictures of reports, for looking at (needs Chromium); the documentation as a site, in build/site; and what is generated in it from
# the program itself: the pages of the rules, the output that is shown.
screenshots: $(READY)
	$(BIN)/python docs/make_screenshots.py

site: $(READY)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

docs: $(READY)
	$(BIN)/python docs/make_rules.py
	$(BIN)/python docs/make_readme.py
	$(BIN)/python docs/make_pytest.py
	$(BIN)/python docs/make_layer.py
	$(BIN)/python docs/make_notebook.py
	$(BIN)/python docs/make_tutorial.py

# A part of the tests in an environment of its own: `make other PYTHON=python3.13` on another Python, `make lowest` with the lowest
# versions that pyproject.toml claims. (Of torch with CUDA, unless PIP_OPTIONS names another index.)
OTHER ?= .venv-other
VERSIONS ?= constraints.txt
PART ?= tests/checks tests/report tests/api tests/fronts tests/patch tests/program tests/programs tests/cli/test_cli.py
other:
	test -x $(OTHER)/bin/python || $(PYTHON) -m venv $(OTHER)
	$(OTHER)/bin/python -m pip install --quiet --no-compile -c $(VERSIONS) $(PIP_OPTIONS) -e '.[all]' \
		pytest pytest-xdist hypothesis jsonschema libcst pyyaml syrupy pytest-benchmark nbclient nbformat ipykernel
	$(OTHER)/bin/python -m pytest -n 2 --dist worksteal $(PART)

lowest:
	mkdir -p .venv-lowest
	$(PYTHON) tools/lowest.py > .venv-lowest/lowest.txt
	$(MAKE) other OTHER=.venv-lowest VERSIONS=.venv-lowest/lowest.txt

clean:
	rm -rf $(VENV) .venv-other .venv-lowest .golden .mypy_cache .ruff_cache .pytest_cache .benchmarks

# Without the constraints pip would fetch the newest torch, with gigabytes of CUDA where it has its choice.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gradcheck needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $(READY)
