# Each target makes its own virtual environment if there is none, so that a bare clone needs one command.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo docs test test-oldest coverage mutants audit lint types dist clean

$(READY): pyproject.toml setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/python examples/demo.py --out demo.png

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto

# The site, with every warning an error; examples run, which takes some minutes. The build itself asks no network.
$(VENV)/.docs-ready: $(READY)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

docs: $(VENV)/.docs-ready
	$(BIN)/sphinx-build -j 1 -W --keep-going docs docs/_build/html
	AGEBOOST_SITE=docs/_build/html $(BIN)/python -m pytest tests/test_site.py

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

# Small changes to a module that the tests which are about it, by words in their names, do not notice:
# those that survived, and how many came to which end. `mutmut show NAME` shows one.
mutants: MODULE ?= ageboost.photos
mutants: TESTS ?= test_photos.py or test_any_bytes.py
mutants: $(READY)
	@$(BIN)/python -m pip install --quiet mutmut
	@rm -rf mutants && mkdir mutants
	@echo "Changing $(MODULE), which takes minutes; how far it is stands in mutants/log."
	@PYTEST_ADDOPTS="-k '$(TESTS)'" $(BIN)/mutmut run "$(MODULE).*" > mutants/log 2>&1 \
		|| { tr '\r' '\n' < mutants/log | grep -v '^[^ ]* \(Generating\|Running\) ' | tail -n 40; exit 1; }
	@$(BIN)/mutmut results --all true | sed 's/^ *//' | awk -F': ' -v module="$(MODULE)." ' \
		index($$1, module) == 1 { n[$$2]++; if ($$2 == "survived") print $$1 } \
		END { for (end in n) print end ": " n[end] }'

# Known holes in the packages that are installed; fails, too, if it cannot find out.
audit: $(READY)
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --skip-editable

# The same commit gives the same bytes, whoever builds it and when.
dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: $(READY)
	$(BIN)/python -m pip install --quiet build
	umask 022 && $(BIN)/python -m build
	$(BIN)/python .ci/repack.py dist/ageboost-*.tar.gz

clean:
	rm -rf $(VENV) $(OLDEST) build dist docs/_build docs/gallery docs/reference/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage mutants demo.png
