# Both commands do all their own set-up on a machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test lint gate quality clean

demo: $(STAMP)
	$(BIN)/guardmed demo --out out/demo

test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal tests/unit
	$(BIN)/python -m pytest tests/install tests/browser tests/integration

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for pack in clinical clinical-strict clinical-professional privacy-pipl privacy-hipaa; do $(BIN)/guardmed policy lint $$pack || exit 1; done

# The reference checkpoint is unaligned: the gate must block it (exit code 1).
gate: $(STAMP)
	$(BIN)/guardmed gate reference --config gate.yaml --out out/gate; test $$? -eq 1

quality: $(STAMP)
	$(BIN)/python benchmarks/policy_quality.py --mutations
	$(BIN)/python benchmarks/refusal_quality.py
	taskset -c 0 $(BIN)/python benchmarks/policy_latency.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) out build dist
