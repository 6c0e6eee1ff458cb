# make venv    sets up .venv from the pinned versions
# make test    lint and the quick tests        make test-slow   the slow ones
# make test-page   the page in a browser, with packages that are not pinned
# make demo    train, invert, show             see README.md
# make api     docs/api.md from the docstrings
# make edits  the pictures of docs/edits.md
# make licences   docs/licences.md from the packages of requirements.txt
# make lock    requirements.txt anew, from setup.cfg: what it says at its top

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2
UV ?= uv
QUICKLY := -qq --no-input --no-compile

.PHONY: venv test test-slow test-page demo api edits licences lock

venv: $(READY)

$(READY): requirements.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V)." \
	         "Try: make venv PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv: pinned packages of requirements.txt (about a minute) ..."
	@# Debian's python3 without python3-venv has no ensurepip: borrow pip.
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || \
	  { $(PYTHON) -m venv --clear --without-pip .venv && \
	    $(PYTHON) -m pip --python $(BIN)/python install -qq pip; }
	@# The pinned setuptools builds what is installed from source: nothing else is fetched.
	@# Python compiles a module when it is first imported: only those that are used.
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.txt > .venv/setuptools.txt
	@$(BIN)/python -m pip install $(QUICKLY) --require-hashes -r .venv/setuptools.txt
	@$(BIN)/python -m pip install $(QUICKLY) --require-hashes --no-build-isolation \
	  --use-pep517 -r requirements.txt
	@$(BIN)/python -m pip install $(QUICKLY) --no-deps --no-build-isolation --editable .
	@touch $(READY)
	@echo "Done: .venv is ready, with the command $(BIN)/hyperstyle."

test: venv
	@echo "Checking the style ..."
	@$(BIN)/ruff check .
	@echo "Checking the types (half a minute at first) ..."
	@$(BIN)/mypy
	@echo "Running the quick tests ..."
	@$(BIN)/python -m pytest -q -m "not slow" -n $(JOBS) --dist loadfile

test-slow: venv
	@echo "Running the slow tests ..."
	@$(BIN)/python -m pytest -q -m slow -n $(JOBS) --dist loadfile

test-page:
	@echo "Setting up .venv-page: gradio, playwright (a minute or two) ..."
	@test -x .venv-page/bin/python || $(PYTHON) -m venv .venv-page
	@.venv-page/bin/python -m pip install $(QUICKLY) --editable '.[app]' pytest playwright
	@.venv-page/bin/python -m pytest -q tests/app

demo: venv
	@$(BIN)/python -m hyperstyle_jax demo

api: venv
	@$(BIN)/python scripts/api.py

edits: venv
	@$(BIN)/python scripts/edits_page.py

licences: venv
	@$(BIN)/python scripts/licences.py

lock:
	@command -v $(UV) > /dev/null || \
	  { echo "make lock needs the program uv: pip install uv, or make lock UV=PATH"; exit 1; }
	@$(UV) pip compile setup.cfg --quiet --extra test --extra tensorboard \
	  --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	  --custom-compile-command "$$(cat scripts/lock_header.txt)" $(ARGS) \
	  --output-file requirements.txt
