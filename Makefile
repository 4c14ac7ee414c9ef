# Two commands do everything: `make demo` (see it work) and `make test`.
# PYTHON names the interpreter to build .venv from; the first of 3.11, 3.10, 3.9 that is found otherwise.

PYTHON ?= $(shell for v in 3.11 3.10 3.9; do p=$$(command -v python$$v) && $$p -c 'import ensurepip' 2>/dev/null \
  && { echo $$p; exit; }; done; command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint bench clean

demo: $(INSTALLED)
	$(BIN)/python train_cyclegan.py --data phantom --run runs/demo --image-size 128 --steps 1600 --set phantoms=300 \
	  --set ema_decay=0.99 --set critic_sees_outline=true
	$(BIN)/python train_detector.py --data phantom --run runs/demo_detector --image-size 96 --epochs 13 --batch-size 8 \
	  --set phantoms=600
	$(BIN)/python evaluate.py --translator runs/demo --detector runs/demo_detector --output runs/demo_report

test: $(INSTALLED) lint
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(INSTALLED)
	$(BIN)/ruff check .

bench: $(INSTALLED)
	$(BIN)/python benchmarks/step_time.py

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@'$(PYTHON)' -c 'import sys, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null || \
	  { echo "error: Python 3.9, 3.10 or 3.11 with venv is needed (TensorFlow 2.15); name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	'$(PYTHON)' -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache *.egg-info
