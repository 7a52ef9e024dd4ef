# Both commands do all their own set-up on a machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test lint gate align-demo quality clean

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

# Pairs, supervised warm-up, preferences, report, and the gate as the judge: it says what still fails.
align-demo: $(STAMP)
	$(BIN)/guardmed align pairs --config align.yaml --prompts benchmarks/contrast=Apache-2.0 --out out/align-demo/pairs
	$(BIN)/guardmed align sft --config align.yaml --pairs out/align-demo/pairs --out out/align-demo/sft --set evaluate.prompts=0 --set evaluate.questions=0
	$(BIN)/guardmed align dpo --config align.yaml --pairs out/align-demo/pairs --model out/align-demo/sft/checkpoint --against reference --out out/align-demo
	$(BIN)/guardmed align report out/align-demo/sft out/align-demo --out out/align-demo/report
	$(BIN)/guardmed gate out/align-demo/checkpoint --config align-gate.yaml --out out/align-demo/gate; test $$? -ne 2 -a $$? -ne 3

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
