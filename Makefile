# make venv    sets up .venv from the pinned versions
# make test    lint and the quick tests        make test-slow   the slow ones
# make demo    train, invert, show             see README.md

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2

.PHONY: venv test test-slow demo

venv: $(READY)

$(READY): requirements.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V)." \
	         "Try: make venv PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv: pinned packages of requirements.txt (about 2 minutes) ..."
	@# Debian's python3 without python3-venv has no ensurepip: borrow pip.
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || \
	  { $(PYTHON) -m venv --clear --without-pip .venv && \
	    $(PYTHON) -m pip --python $(BIN)/python install -qq pip; }
	@$(BIN)/python -m pip install -qq --no-input -r requirements.txt
	@$(BIN)/python -m pip install -qq --no-input --no-deps \
	  --no-build-isolation --editable .
	@touch $(READY)
	@echo "Done: .venv is ready, with the command $(BIN)/hyperstyle."

test: venv
	@echo "Checking the style ..."
	@$(BIN)/ruff check .
	@echo "Running the quick tests ..."
	@$(BIN)/python -m pytest -q -m "not slow" -n $(JOBS) --dist loadfile

test-slow: venv
	@echo "Running the slow tests ..."
	@$(BIN)/python -m pytest -q -m slow

demo: venv
	@$(BIN)/python -m hyperstyle_jax demo
