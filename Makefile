# make demo        set everything up, train on scikit-learn's digits, say where the run is
# make test        set everything up, then lint, types and the whole test suite
# make docs        build the documentation into site/, to be read from the disk or a web host
# make pages       bundle the scripts of the pages again, after a change in web/ (needs Node)
# make dist        build the source archive and the wheel into dist/: the same bytes whenever they are built
# make try-wheel   use the wheel as a new user would: without extras, in an empty environment (TRY=python3.13: with that)
# make course      execute the lessons of docs/course again, after a change there
# make reproduce   the slow tests: whole reproductions on MNIST, and torch.compile
# make clean       remove what the others made (not your runs)

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

# Packages are compiled when they are first imported, once: else each process would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test docs course pages packages dist try-wheel reproduce clean

demo: $(VENV)/ready
	$(BIN)/vaelab train quickstart --out runs/demo --overwrite

test: $(VENV)/ready packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

docs: $(VENV)/ready
	$(BIN)/python docs/build.py

pages: web/node_modules/ready
	cd web && npm run --silent check && npm run --silent build

# Without Node the tests of the scripts' source are skipped; nothing else needs it.
packages:
	@command -v npm >/dev/null && $(MAKE) --no-print-directory web/node_modules/ready || echo "no Node here: the tests of web/ are skipped"

web/node_modules/ready: web/package.json web/package-lock.json
	cd web && npm ci --silent
	@touch $@

dist: $(VENV)/ready
	rm -rf dist
	$(BIN)/python -m build

try-wheel: $(VENV)/ready
	.ci/wheel $(TRY)

course: $(VENV)/ready
	$(BIN)/python docs/course/build.py

reproduce: $(VENV)/ready
	$(BIN)/pytest -m slow

$(VENV)/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "vaelab needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) web/node_modules build dist site src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
