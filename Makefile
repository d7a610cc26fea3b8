# make demo        set everything up, train on scikit-learn's digits, say where the run is
# make test        set everything up, then lint, types and the whole test suite
# make pages       bundle the scripts of the pages again, after a change in web/ (needs Node)
# make course      execute the lessons of docs/course again, after a change there
# make reproduce   the slow tests: whole reproductions on MNIST, and torch.compile
# make clean       remove what the others made (not your runs)

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test pages packages course reproduce clean

demo: $(VENV)/ready
	$(BIN)/vaelab train quickstart --out runs/demo --overwrite

test: $(VENV)/ready packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

pages: web/node_modules/ready
	cd web && npm run --silent check && npm run --silent build

# Without Node the tests of the scripts' source are skipped; nothing else needs it.
packages:
	@command -v npm >/dev/null && $(MAKE) --no-print-directory web/node_modules/ready || echo "no Node here: the tests of web/ are skipped"

web/node_modules/ready: web/package.json web/package-lock.json
	cd web && npm ci --silent
	@touch $@

course: $(VENV)/ready
	$(BIN)/python docs/course/build.py

reproduce: $(VENV)/ready
	$(BIN)/pytest -m slow

$(VENV)/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "vaelab needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) web/node_modules build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
