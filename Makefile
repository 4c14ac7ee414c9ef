# Two commands do everything: `make demo` (see it work) and `make test`.
#
# There are two lanes of one code: `addons` (TensorFlow 2.15 with TensorFlow Addons and keras-cv; Python 3.10, 3.11) and
# `current` (TensorFlow 2.21 with Keras 3; Python 3.10 to 3.13). The machine's Python decides; LANE=current forces the
# second, PYTHON=/path/to/python names the interpreter to build the environment from. `make test` is whole in either;
# `make test-more` also runs the other lane's networks, steps, detectors and run folders, where this Python has it.

find = $(shell for v in $(1); do p=$$(command -v python$$v) && $$p -c 'import ensurepip' 2>/dev/null && { echo $$p; exit; }; done)
lane_of = $(shell '$(1)' -c 'import sys, ensurepip; v = sys.version_info[:2]; print("addons" if (3, 10) <= v <= (3, 11) else \
  "current" if (3, 12) <= v <= (3, 13) else "none")' 2>/dev/null || echo none)

ifndef PYTHON
  ifeq ($(LANE),current)
    PYTHON := $(or $(call find,3.13 3.12 3.11 3.10),python3)
  else
    PYTHON := $(or $(call find,3.11 3.10 3.13 3.12),python3)
  endif
endif
USUAL := $(call lane_of,$(or $(call find,3.11 3.10 3.13 3.12),$(PYTHON)))
ifndef LANE
  LANE := $(call lane_of,$(PYTHON))
endif
VENV := $(if $(filter $(LANE),$(USUAL)),.venv,.venv-$(LANE))
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(LANE)
DOCUMENTED := $(VENV)/.installed-docs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/$(LANE).txt
SAY := @echo "lane $(LANE), $$($(BIN)/python --version), in $(VENV)"

OTHER := $(if $(filter addons,$(LANE)),current,$(filter addons,$(call lane_of,$(PYTHON))))
# What stands on Keras: everything else is the same code on the same libraries.
ON_KERAS := tests/test_lanes.py tests/common_tf/backbones tests/common_tf/runs $(wildcard tests/common_tf/test_*.py) \
  tests/cyclegan_tf/test_networks.py tests/cyclegan_tf/test_losses.py tests/cyclegan_tf/test_systems.py \
  tests/cyclegan_tf/test_projected.py tests/cyclegan_tf/test_start.py tests/detector_tf

.PHONY: demo site test test-more test-all test-other campaign audit test-suite lint bench clean

demo: $(INSTALLED)
	$(SAY)
	$(BIN)/python train_cyclegan.py --data phantom --run runs/demo --image-size 128 --steps 1600 --set phantoms=300 \
	  --set ema_decay=0.99 --set critic_sees_outline=true
	$(BIN)/python train_detector.py --data phantom --run runs/demo_detector --image-size 96 --epochs 13 --batch-size 8 \
	  --set phantoms=600
	$(BIN)/python evaluate.py --translator runs/demo --detector runs/demo_detector --output runs/demo_report

test: lint test-suite

test-suite: $(INSTALLED)
	$(SAY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not more'

# The documents as a site, in site/index.html.
site: $(DOCUMENTED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "to look at it: $(BIN)/python -m http.server -d site, then http://127.0.0.1:8000 in a browser"

$(DOCUMENTED): $(INSTALLED)
	$(PIP) -e '.[$(if $(filter addons,$(LANE)),addons$(comma))test,docs]'
	touch $@

# What takes longer: systems killed and continued, copies of the repository, real data, the other lane.
test-more: $(DOCUMENTED)
	$(SAY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'more and not most'
	@$(if $(OTHER),$(MAKE) LANE=$(OTHER) PYTHON='$(PYTHON)' test-other,echo "the other lane wants Python 3.10 or 3.11: not run")

# Everything of this lane, also what tests/slowest.txt names, and how much of the code it runs.
test-all: $(DOCUMENTED)
	$(SAY)
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term

# Attempts to break it on purpose: damaged files by the thousand, SIGKILLs by the hundred, full disks. Hours on two cores.
campaign: $(INSTALLED)
	$(SAY)
	$(BIN)/python -m tests.campaigns

# Known holes of the packages that either lane pins for this Python. Wants a network; what could not be asked about fails too.
audit: .venv-audit/.installed
	@failed=0; for lane in current addons; do echo "constraints/$$lane.txt"; \
	  .venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints/$$lane.txt || failed=1; done; exit $$failed

# An environment of its own: it must not move the pins that it reads.
.venv-audit/.installed:
	'$(PYTHON)' -m venv --clear .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	touch $@

test-other: $(INSTALLED)
	$(SAY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not more' $(ON_KERAS)
	$(BIN)/python -m pytest -m more tests/replicas/test_training.py -k 'killed_process_ends and 1'

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(filter addons,$(LANE)),$(BIN)/mypy,@echo "types are checked in the lane addons: stubs of NumPy differ from version to version")

bench: $(INSTALLED)
	$(BIN)/python benchmarks/step_time.py

$(INSTALLED): setup.cfg pyproject.toml constraints/$(LANE).txt
	@'$(PYTHON)' -c 'import sys, ensurepip; v = sys.version_info[:2]; sys.exit(not (3, 10) <= v <= \
	  ((3, 11) if "$(LANE)" == "addons" else (3, 13)))' 2>/dev/null || { echo "error: $(PYTHON): wanted is a Python with venv, \
	3.10 or 3.11 for the lane addons, 3.10 to 3.13 for the lane current (TensorFlow has no package for later ones); name one: \
	make PYTHON=/path/to/python3.13" >&2; exit 2; }
	'$(PYTHON)' -m venv --clear $(VENV)
	$(PIP) wheel
	$(PIP) -e '.[$(if $(filter addons,$(LANE)),addons$(comma))test]'
	touch $@

comma := ,

# A Python that no lane has: the rule above says so, and wants a file that is not there.
constraints/none.txt:

clean:
	rm -rf .venv .venv-* site .cache .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage* *.egg-info
