# make quickstart   a trained model of handwritten digits, with its pictures, in about a minute
# make test         style, imports between rooms, and all tests
# make test-fast    the same without the tests that train a run or start a command as a process
# make test-faults  thousands of generated faults instead of some hundred, and 100 kills at random moments: about two hours
# make test-workers kills workers at random moments of training
# make test-browser shows pages in a headless Chromium, which it installs with apt-get if there is none; uses the network
# make bench        measures the toolkit, compared with PyTorch among others, in about half an hour
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv is used if it is installed, because it needs seconds where pip needs a minute. --compile-bytecode does what pip does
# by default: without it, TensorFlow loads half as fast where Python cannot write bytecode.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: quickstart test test-fast test-faults test-workers test-browser lint bench clean

quickstart: $(VENV)/.installed
	$(BIN)/python download.py --datasets DIGITS --dimension 16
	$(BIN)/python trainer.py --dataset DIGITS --prefix quickstart
	$(BIN)/python evaler.py --dataset DIGITS --prefix digits

test: lint
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-fast: lint
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not browser and not workers"

test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m browser tests/browser

test-faults: $(VENV)/.installed-test
	GLO_FAULTS=30 $(BIN)/python -m pytest -n 2 tests/faults
	$(BIN)/python -m tests.faults.campaign --kills 100

test-workers: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/workers -m "not browser"
	$(BIN)/python -m tests.workers.campaign --kills 10

lint: $(VENV)/.installed-test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

bench: $(VENV)/.installed-bench
	$(BIN)/python download.py --datasets MNIST
	$(BIN)/python -m bench

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	$(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

$(VENV)/.installed: requirements.txt constraints.txt | $(VENV)/bin/python
	$(INSTALL) -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(INSTALL) -r requirements-test.txt -c constraints.txt
	@touch $@

$(VENV)/.installed-browser: requirements-browser.txt $(VENV)/.installed-test
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends chromium; } || \
		{ echo "error: no Chromium, and apt-get cannot install it: install the package chromium, then repeat"; exit 2; }
	$(INSTALL) -r requirements-browser.txt -c constraints.txt
	$(BIN)/python -m tests.browser.npm $(VENV)/tf.es2017.min.js
	@touch $@

# Installed with pip, whose configuration may name an index of CPU builds of PyTorch.
$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check -r requirements-bench.txt -c constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
