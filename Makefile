# make demo        set everything up, train on scikit-learn's digits, say where the run is
# make test        set everything up, then lint, types and the whole test suite
# make reproduce   the slow tests: whole reproductions on MNIST, and torch.compile
# make clean       remove what the others made (not your runs)

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test reproduce clean

demo: $(VENV)/ready
	$(BIN)/vaelab train quickstart --out runs/demo --overwrite

test: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

reproduce: $(VENV)/ready
	$(BIN)/pytest -m slow

$(VENV)/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "vaelab needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
