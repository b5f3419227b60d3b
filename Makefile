# make demo and make test are all a newcomer needs; each sets everything up by itself.

# The first Python that is there and that all parts run on; PYTHON=... chooses another.
RANGE := import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for one in python3.12 python3.11 python3.13 python3; do \
	$$one -c '$(RANGE)' 2>/dev/null && { echo $$one; break; }; done)
BIN := .venv/bin
# Two thirds of the tests' time is waiting for processes and clocks: three of them share a core.
TESTS := $(BIN)/python -m pytest --numprocesses $$(( 3 * $$(nproc 2>/dev/null || echo 2) )) --dist loadscope --no-loadscope-reorder
PACKAGES := broker fog_tasks fog_node cloud_node device_sim weighbridge

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage fuzz lint format docs bench collaboration chaos clean

help:
	@echo "make demo     one cloud, two fog nodes and a fleet of devices, for 30 seconds"
	@echo "make test     all tests"
	@echo "make coverage the same, and which lines they ran, in nodes and workers too (slow)"
	@echo "make fuzz     hostile packets until a running node has read a million (2 minutes)"
	@echo "make lint     ruff, mypy and the import contracts"
	@echo "make docs     docs/settings.md from the programs' options, docs/rooms.svg from the import contracts"
	@echo "make bench    measurements beside the peers, written into docs/benchmarks.md (10 minutes)"
	@echo "make chaos    12,000 tasks under 36 kills and stops, with each engine, and what was lost: nothing (16 minutes)"
	@echo "make collaboration  nodes that share their work, measured (7 minutes)"
	@echo "make install  .venv with everything, the programs in .venv/bin"
	@echo "make clean    remove what the above made"

install: .venv/installed

.venv/installed: pyproject.toml requirements.txt
	@test -n "$(PYTHON)" || { echo "Weighbridge needs Python 3.11, 3.12 or 3.13; give one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/device-sim demo

test: install
	$(TESTS)

coverage: install
	$(TESTS) --cov --cov-report=term:skip-covered

fuzz: install
	FUZZ_PACKETS=1000000 $(BIN)/python -m pytest -s tests/fuzz

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: install
	$(BIN)/python -m docs.settings_page
	$(BIN)/python -m docs.rooms_picture

bench: install
	@# Both, whatever the first one found.
	@missed=0; \
	$(BIN)/python -m benchmarks all --write --check || missed=1; \
	$(BIN)/python -m benchmarks.broker --check || missed=1; \
	exit $$missed

# One after the other, whatever the first ones found; a broker elsewhere by make chaos ENGINES=mqtt://HOST:PORT,
# sensors that know nothing of tasks by make chaos CHAOS=--rules.
ENGINES ?= embedded mosquitto external

chaos: install
	@lost=0; \
	for engine in $(ENGINES); do $(BIN)/python -m tests.chaos --engine $$engine $(CHAOS) || lost=1; done; \
	exit $$lost

collaboration: install
	$(BIN)/python -m benchmarks.collaboration --check

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
