# edge-optim: everything starts here. `make` alone lists the targets.
#
# The environment lives in .venv; stamp files in it remember what is installed, so only a change of
# pyproject.toml or constraints.txt installs again. `make run ARGS="--port 8600"` passes arguments on;
# `make run TORCH=cpu` takes torch without CUDA, from an index of its own, when it installs.

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-faults check bench bench-slow clean
MAKEFLAGS += --no-print-directory

SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && echo $$name && break; done)

TORCH ?= usual
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TORCH_INDEX = https://download.pytorch.org/whl/cpu
TORCH_BUILDS := usual cpu
ifeq ($(filter $(TORCH),$(TORCH_BUILDS)),)
$(error TORCH must be one of: $(TORCH_BUILDS); got "$(TORCH)". Leave it out for what the usual index gives)
endif
BROWSER = EDGE_OPTIM_BROWSER="$$($(BIN)/python scripts/ensure_browser.py)" || exit 1; export EDGE_OPTIM_BROWSER

TOO_OLD = edge-optim needs Python 3.11 or newer$(if $(PYTHON),; $(PYTHON) is older). Install one, or \
	name one: make run PYTHON=/path/to/python3.12
NO_VENV = The environment cannot be made. On Debian and Ubuntu, install the package python3-venv first.

help:
	@echo 'make run       install what is needed and open the dashboard on http://127.0.0.1:8501'
	@echo '               with TORCH=cpu torch comes without CUDA, where its index can be reached'
	@echo 'make test      run the tests, those in a browser included'
	@echo 'make test-all  the same, with the slow ones that train networks'
	@echo 'make test-faults  inject faults and fuzz by the thousand, and print the table; an hour'
	@echo 'make check     formatting, lint, types and the figures of the house'
	@echo 'make bench     measure and print the tables of figures that need no training'
	@echo 'make bench-slow  train and measure the others, over several seeds; it takes hours'
	@echo 'make clean     delete .venv and caches; workspaces are kept'

# What pytest answers where ARGS choose no test of one of the two halves.
NONE_CHOSEN = 5

run: .venv/installed
	@$(BIN)/edge-optim dashboard $(ARGS) || [ $$? -eq 130 ]

test: QUICK = not slow and
test-all: export HYPOTHESIS_PROFILE = random
test test-all: .venv/installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(QUICK) not faults and not e2e" -n 2 --dist loadfile $(ARGS) \
		|| [ $$? -eq $(NONE_CHOSEN) ]
	@$(BROWSER); $(BIN)/python -m pytest -m "$(QUICK) not faults and e2e" -n 2 --dist loadfile $(ARGS) \
		|| [ $$? -eq $(NONE_CHOSEN) ]

test-faults: .venv/installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults --timeout=3600 $(ARGS)

check: .venv/installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python scripts/house.py

QUICK_BENCHES = "compression.py --only-prebuilt" quantization.py sparsity.py "rewrites.py --remedy" \
	noise.py responsiveness.py page_rerun.py scale.py
SLOW_BENCHES = named_presets.py "pruning.py --epochs 0.5" pruning.py \
	"iterative_pruning.py motion-cnn --epochs 8" iterative_pruning.py \
	criteria.py "distillation.py --epochs 2 --ways labels soft --test" distillation.py \
	"distillation.py --student small_resnet --width 0.375 --stride 2" \
	"distillation.py --data-efficiency" quantization_aware.py mixed_precision.py "sparsity.py --train"

bench: .venv/installed
	@for script in $(QUICK_BENCHES); do echo "== $$script"; $(BIN)/python benchmarks/$$script || exit 1; done

bench-slow: .venv/installed
	@for script in $(SLOW_BENCHES); do echo "== $$script"; $(BIN)/python benchmarks/$$script || exit 1; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/made:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(SUPPORTED)' || { echo '$(TOO_OLD)' >&2; exit 1; }
	@echo 'Making the environment .venv with $(PYTHON) ...'
	@$(PYTHON) -m venv .venv || { echo '$(NO_VENV)' >&2; exit 1; }
	@touch $@

.venv/installed: .venv/made pyproject.toml constraints.txt
	@echo 'Installing edge-optim and what it needs (several GB, once; it takes minutes) ...'
ifeq ($(TORCH),cpu)
	@$(PIP) --no-deps --index-url $(TORCH_INDEX) torch torchvision
endif
	@$(PIP) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo 'Installing what the tests need ...'
	@$(PIP) -e '.[dev]'
	@touch $@
