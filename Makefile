# Each target makes its own virtual environment if there is none, so that a bare clone needs one command.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-oldest coverage mutants lint types dist clean

$(READY): pyproject.toml setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/python examples/demo.py --out demo.png

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto

# Python and every package as old as pyproject.toml allows: who has them gets the same ages.
OLDEST_PYTHON ?= python3.11
OLDEST ?= .venv-oldest

$(OLDEST)/.ready: pyproject.toml setup.cfg
	$(OLDEST_PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable ".[dev]"
	touch $@

test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest --numprocesses auto

coverage: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --cov

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# Small changes to a module that the tests which are about it, by words in their names, do not notice.
mutants: MODULE ?= ageboost.photos
mutants: TESTS ?= test_photos.py or test_any_bytes.py
mutants: $(READY)
	$(BIN)/python -m pip install --quiet mutmut
	rm -rf mutants
	PYTEST_ADDOPTS="-k '$(TESTS)'" $(BIN)/mutmut run "$(MODULE).*"
	$(BIN)/mutmut results

# The same commit gives the same bytes, whoever builds it and when.
dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: $(READY)
	$(BIN)/python -m pip install --quiet build
	umask 022 && $(BIN)/python -m build
	$(BIN)/python .ci/repack.py dist/ageboost-*.tar.gz

clean:
	rm -rf $(VENV) $(OLDEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage mutants demo.png
