# cspine: everything a person types. Needs make and CPython 3.11 to 3.13, nothing else and no root.
#
# `.venv` is made by whichever target needs it first. A stamp for each requirement file lies in it, so that a second
# call costs nothing; a changed requirement file is newer than its stamp and is installed again.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
BIN := .venv/bin
RUN := .venv/.run.stamp
DEV := .venv/.dev.stamp
PEER := .venv/.peer.stamp
KERAS2 := .venv/.keras2.stamp

# TensorFlow has no build for CPython 3.14 yet; move the upper end when requirements.txt can be installed there.
FITS := import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: help setup demo up test check bench chaos fuzz memory original lock

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) ## Make .venv with everything in it, tests and checks included
	@echo ".venv is ready."

demo: $(RUN) ## Screen a demonstration night and serve the triage list until Ctrl-C (ONCE=1: print it and exit)
	@bin/cspine demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

up: $(RUN) ## Run broker, workers and web (PORT=8000) until Ctrl-C
	@bin/cspine up $(if $(PORT),--port $(PORT))

test: $(DEV) ## Run all tests but those that drive a browser or break servers (ARGS="-k name": some; ARGS="-m servers")
	@$(BIN)/python -m pytest -m "not browser and not servers" --numprocesses 3 --dist loadfile $(ARGS)

check: $(DEV) ## Lint, format, types and the borders between the folders
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(RUN) $(PEER) ## Measure decoding beside pydicom, networks, the chain and its parts, the queue (half an hour or more)
	@$(BIN)/python -m tests.bench.decoding
	@$(BIN)/python -m tests.bench.networks
	@$(BIN)/python -m tests.bench.saliency
	@$(BIN)/python -m tests.bench $(ARGS)
	@missed=0; for part in bulk chain queue; do $(BIN)/python -m tests.bench.$$part || missed=1; done; exit $$missed

chaos: $(DEV) ## Nights in which a monkey kills, freezes, cuts and restarts: nothing lost (SEED=1 SEEDS=1 ARGS=--short)
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

fuzz: $(DEV) ## Damage 20,000 files, decode each in a limited child (COUNT=, SEED=)
	@$(BIN)/python -m tests.fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

memory: $(DEV) ## Measure the memory of web and workers under large files, bombs, 10,000 files (ARGS=bombs: a part)
	@$(BIN)/python -m tests.memory $(ARGS)

original: $(DEV) $(KERAS2) ## Read a file that Keras 2 has written, as the original program does (600 MB to install)
	@$(BIN)/python -m pytest tests/models/pretrained/test_keras_2.py $(ARGS)

lock: $(DEV) ## Pin what requirements/*.in ask for, keeping the pins that still fit (UPGRADE=1: the newest of all)
	@$(COMPILE) requirements/dev.in --output-file requirements/dev.txt
	@$(COMPILE) requirements/web.in --constraint requirements/dev.txt --output-file requirements/web.txt
	@$(COMPILE) requirements/gpu.in --constraint requirements/dev.txt --output-file requirements/gpu.txt
	@$(COMPILE) requirements/worker.in --constraint requirements/dev.txt --output-file requirements.txt
	@$(COMPILE) requirements/peer.in --constraint requirements/dev.txt --output-file requirements/peer.txt
	@$(COMPILE) requirements/keras2.in --output-file requirements/keras2.txt

# uv itself is pinned in requirements/dev.txt, like everything else.
$(BIN)/uv: requirements/dev.txt
	@for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c '$(FITS)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "cspine needs CPython 3.11, 3.12 or 3.13, and none is on the PATH ($(PYTHON) is $$($(PYTHON) -V 2>&1 || true))." >&2; \
	  echo "Install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if [ -x $(BIN)/python ] && ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then rm -rf .venv; fi; \
	if [ ! -x $(BIN)/pip ]; then \
	  echo "Making .venv with $$("$$found" -V) ..."; \
	  "$$found" -m venv --clear .venv || { echo "This Python cannot make a venv; on Debian: apt install python3-venv" >&2; exit 1; }; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/dev.txt uv
	@touch $@

$(RUN): requirements.txt | $(BIN)/uv
	@echo "Installing requirements.txt into .venv (about a minute the first time) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.txt
	@touch $@

$(DEV): requirements/dev.txt | $(BIN)/uv
	@echo "Installing requirements/dev.txt into .venv (about a minute the first time) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements/dev.txt
	@touch $@

# What `make bench` measures against, apart from everything of ours (docs/decisions/019-the-peer-has-its-own-environment.md).
$(PEER): requirements/peer.txt | $(BIN)/uv
	@echo "Installing requirements/peer.txt into .venv/peer ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/peer
	@$(BIN)/uv pip install --quiet --python .venv/peer/bin/python -r requirements/peer.txt
	@touch $@

# What the original program was written with, apart from everything of ours: it needs another TensorFlow.
$(KERAS2): requirements/keras2.txt | $(BIN)/uv
	@echo "Installing requirements/keras2.txt into .venv/keras2 ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/keras2
	@$(BIN)/uv pip install --quiet --python .venv/keras2/bin/python -r requirements/keras2.txt
	@touch $@
