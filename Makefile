# make reproduce: set up everything and run the main job on the embedded benchmark. make test: set up and pass the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
export OMP_NUM_THREADS ?= 1
# where it is set, every one of many processes compiles thousands of torch's and MLflow's files anew: 18 s an import instead of 6
unexport PYTHONDONTWRITEBYTECODE

.PHONY: reproduce test test-long bench lint setup report search lock clean
setup: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@OMP_NUM_THREADS=1 $(BIN)/python -m fame.fast.cpu  # compiled once here, not in each worker
	@touch $@

reproduce: setup
	$(BIN)/reproduce-paper --scale quick --dataset staged --out $(OUT)

search: setup
	$(BIN)/search-beta --scale quick --out $(OUT)

report: setup
	$(BIN)/view-report --out $(OUT)

test: setup
	$(BIN)/python -m pytest -n 2

test-long: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable ".[long]"
	$(BIN)/python -m pytest -m long --timeout 1800

bench: setup
	$(BIN)/python -m benchmarks

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra fast --no-emit-index-url --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(OUT)
