# make run      install into .venv, run the default studies, say where the report is
# make test     all tests
# make lint     style, types, workflow
# make soak     the same studies killed again and again, disks that fill up, another user who attacks,
#               10 000 damaged configurations, 10 000 wild problems: three quarters of an hour
# make bench    what the README claims about speed
# make paper    every figure and claim of Pietschmann and Schlottbom, judged on one page
# make install  the environment only
# make lock     the exact versions again, from pyproject.toml

BIN := .venv/bin
CONFIG ?= config/config.yaml
SNAKEMAKE := $(BIN)/snakemake --profile workflow/profiles/default

.PHONY: run test soak lint bench paper install lock

run: install
	$(SNAKEMAKE) --configfile $(CONFIG)
	$(SNAKEMAKE) --configfile $(CONFIG) --report results/snakemake-report.html --quiet
	@echo
	@echo "Report:                       $(CURDIR)/results/report.html"
	@echo "Snakemake's report:           $(CURDIR)/results/snakemake-report.html"
	@echo "Stores, one for each study:   $(CURDIR)/results/<study>/, open them with dajko.open_study"

# The report's pages are tested in Chromium where there is one.
BROWSER := $(firstword $(foreach name,chromium chromium-browser google-chrome chrome,$(shell command -v $(name))))

test: install
	$(if $(BROWSER),,@echo "No Chromium here: the tests of the report's pages in a browser are left out.")
	$(BIN)/python -m pytest -n auto --dist worksteal $(if $(BROWSER),,-m "not browser")

soak: install
	$(BIN)/python -m soak fuzz --json results/soak-fuzz.json
	$(BIN)/python -m soak attack --json results/soak-attack.json
	$(BIN)/python -m soak wild --json results/soak-wild.json
	$(BIN)/python -m soak studies --json results/soak-studies.json

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow reproductions
	$(BIN)/snakemake --lint --quiet
	@! grep -nE '(https?://|--index-url|--find-links)' requirements.lock

bench: .venv/bench
	$(BIN)/python -m benchmarks measure

PAPER := reproductions/data_driven_gradient_flows

paper: install
	$(SNAKEMAKE) --snakefile $(PAPER)/Snakefile paper --configfile $(wildcard config/paper/*.yaml) --config results=results/paper
	@mkdir -p docs/figures/paper
	@cp results/paper/paper.md docs/paper.md
	@cp results/paper/figures/paper/*.png docs/figures/paper/
	@echo
	@echo "The page: $(CURDIR)/results/paper/paper.html, copied to docs/paper.md"

install: .venv/installed

# The environment is made anew when the lock file changes. With uv this takes seconds, with pip about a minute.
.venv/installed: requirements.lock pyproject.toml
	@python=$$(for p in python3.13 python3.12 python3.11 python3; do \
	    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done); \
	test -n "$$python" || { echo "dajko needs Python 3.11 or newer"; exit 1; }; \
	$$python -m venv --clear .venv
	@if command -v uv >/dev/null; \
	then uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# CVXPY and Clarabel, which nothing but the benchmarks needs.
.venv/bench: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]'
	@touch $@

lock:
	uv pip compile --universal --generate-hashes --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock
