# What people do in a clone. `make` alone lists the targets.
# Needs make, Python 3.11 to 3.13 and a package index; everything else goes into $(VENV).

VENV ?= .venv
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check -c constraints.txt
# Tests of one file share what they build, and stay together.
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
# These marks run only in `make test-all`; the others wait for nothing but what the machine has.
SLOW := slow or site or kill or fuzz

TRAINED := $(addprefix tests/models/test_,scanorama.py variational_models.py) tests/images/test_scvi.py
IMAGES_OF_2_5 := $(addprefix tests/images/test_,geneformer.py scvi_census.py transcriptformer.py)
IMAGES_OF_2_3 := $(addprefix tests/images/test_,scgpt.py uce.py aido_cell.py scgenept.py)

# The first interpreter that runs, has a fitting version and can make an environment; PYTHON=... names one.
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
USABLE := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
FIND_PYTHON = found=; for python in $(PYTHONS); do \
	  if "$$python" -c '$(USABLE)' >/dev/null 2>&1; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "No usable Python among: $(PYTHONS)" >&2; \
	  echo "cellgauge needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian: apt-get install python3-venv)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(VENV)/.installed-run  ## evaluate real models on a small real dataset and build the site
	$(BIN)/cellgauge run --release demo --dataset pbmc68k-reduced --jobs $(JOBS)
	$(BIN)/cellgauge build --release demo
	@echo "Open it with:  make serve"

.PHONY: serve
serve: $(VENV)/.installed-run  ## show the built site on localhost
	$(BIN)/cellgauge serve

.PHONY: test
test: lint  ## linters and the fast tests, on JOBS cores
	$(PYTEST) -m "not ($(SLOW))" $(PYTEST_ARGS)

.PHONY: test-all
test-all: lint  ## linters and every test: also containers, kills, fuzzing and whole sites, on JOBS cores
	$(PYTEST) $(PYTEST_ARGS)

.PHONY: lint
lint: $(VENV)/.installed-test  ## style, types and the rule of the rooms
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.installed-test $(VENV)/peer/.installed  ## time and memory beside cz-benchmarks, and of building the site; takes most of an hour on idle cores
	$(BIN)/python benchmarks/speed.py --peer $(VENV)/peer/bin/python --growth
	$(BIN)/python benchmarks/site_build.py

.PHONY: test-models
test-models: $(VENV)/torch-2.5/.installed $(VENV)/torch-2.3/.installed $(VENV)/.installed-test $(VENV)/.installed-methods  ## adapters of pretrained models with random weights, and models that are trained; installs gigabytes
	CELLGAUGE_REQUIRE=models PYTHONPATH=generator $(VENV)/torch-2.5/bin/python -m pytest $(IMAGES_OF_2_5) $(PYTEST_ARGS)
	CELLGAUGE_REQUIRE=models PYTHONPATH=generator $(VENV)/torch-2.3/bin/python -m pytest $(IMAGES_OF_2_3) $(PYTEST_ARGS)
	CELLGAUGE_REQUIRE=models $(BIN)/python -m pytest $(TRAINED) $(PYTEST_ARGS)

.PHONY: methods
methods: $(VENV)/.installed-methods  ## install also what trains scVI and Scanorama; gigabytes where torch comes as a CUDA build

.PHONY: coverage
coverage: $(VENV)/.installed-test  ## simulate how often the intervals hold what they say; takes a quarter of an hour
	$(BIN)/python benchmarks/intervals.py

.PHONY: lock
lock: COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links
lock: $(VENV)/bin/python  ## choose the versions in the two files of constraints anew (for maintainers)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) $(addprefix --extra ,run methods dask export test dev) --output-file constraints.txt
	$(COMPILE) $(addprefix --extra ,run scanorama scvi) --constraints constraints.txt --output-file $(VENV)/all.txt
	grep -vxFf constraints.txt $(VENV)/all.txt | sed 's/+[a-z0-9.]*//' > constraints-methods.txt
	rm $(VENV)/all.txt

.PHONY: clean
clean:  ## remove the environment, the demo's results, the site and all caches
	rm -rf $(VENV) build dist site results/demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find generator tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(FIND_PYTHON); \
	echo "Making $(VENV) with $$("$$found" -c 'import sys; print("Python " + sys.version.split()[0])') ($$found)"; \
	"$$found" -m venv $(VENV)

# What we are compared with has an environment of its own.
$(VENV)/peer/.installed: benchmarks/speed-peer.txt | $(VENV)/bin/python
	@echo "Installing cz-benchmarks into an environment of its own; this takes a few minutes"
	@$(BIN)/python -m venv $(VENV)/peer
	@$(VENV)/peer/bin/python -m pip install --quiet --quiet --disable-pip-version-check -r $<
	@touch $@

# Packages of pretrained models want other versions than cellgauge does, and not all the same. What they ask for that
# nothing imports is left out, so that pip is not asked to agree.
$(VENV)/torch-%/.installed: generator/images/tested-torch-%.txt | $(VENV)/bin/python
	@echo "Installing torch $* and packages of pretrained models into an environment of their own; this takes a while"
	@$(BIN)/python -m venv $(VENV)/torch-$*
	@$(VENV)/torch-$*/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

# Installed again only when what is asked for has changed.
$(VENV)/.installed-run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing cellgauge and what it evaluates with; the first time this takes a few minutes"
	@$(PIP) -e '.[run,methods]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing cellgauge and what its tests need; the first time this takes a few minutes"
	@$(PIP) -e '.[run,methods,dask,export,test,dev]'
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-methods: pyproject.toml constraints.txt constraints-methods.txt | $(VENV)/bin/python
	@echo "Installing cellgauge and what trains scVI and Scanorama, for which a C++ compiler is needed; this takes a while"
	@$(PIP) -c constraints-methods.txt -e '.[run,methods,scanorama,scvi]'
	@touch $@ $(VENV)/.installed-run
