# Verbs for people and for CI. `make` alone lists them.
# Needs make and Python >= 3.11; everything else is installed into .venv from the lock file.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/pytest
# In their order: files with few tests are the slow ones, and would otherwise come last, alone.
FILES := --dist loadfile --no-loadscope-reorder
TWO := -n 2 $(FILES)
THREE := -n 3 $(FILES)  # on two cores: many tests wait for a process or a broker
ARGS ?=
# What is compiled is kept, whatever the environment says: each worker and each process of the tests
# would compile it again, a fifth of what all of them take.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo check test integration bench bench-usage bench-alerts bench-console chaos score lock screenshots wheel

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## install what is locked into .venv

demo: $(INSTALLED) ## the whole system with a simulated district; Ctrl-C ends it (ARGS="--port 8001")
	@exec $(BIN)/courtyard demo $(ARGS)

check: $(INSTALLED) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(INSTALLED) ## all tests but the long ones and other combinations (ARGS="-k shed")
	$(PYTEST) $(THREE) -m "not long" --ignore tests/integration $(ARGS)

integration: $(INSTALLED) ## the long tests, then end to end over the other brokers and databases
	$(PYTEST) $(TWO) tests/integration tests/chaos $(ARGS)
	$(PYTEST) -m long --ignore tests/integration --ignore tests/chaos --ignore tests/e2e $(ARGS)
	COURTYARD_TEST_BROKER=mosquitto COURTYARD_TEST_MQTT=3.1.1 $(PYTEST) $(TWO) tests/e2e $(ARGS)
	# nats-server sends again behind newer messages, so that effects after a kill may differ rightly
	COURTYARD_TEST_BROKER=nats COURTYARD_TEST_MQTT=3.1.1 $(PYTEST) $(TWO) tests/e2e \
		--ignore tests/e2e/test_crash_points.py $(ARGS)
	COURTYARD_TEST_BROKER=mosquitto COURTYARD_TEST_DATABASE=postgresql $(PYTEST) $(TWO) \
		tests/e2e $(ARGS)
	COURTYARD_TEST_DATABASE=postgresql $(PYTEST) $(TWO) tests/api $(ARGS)

bench: $(INSTALLED) ## messages a second and CPU a message, beside a stock client
	$(BIN)/python -m bench $(ARGS)

bench-usage: $(INSTALLED) ## how quickly usage is answered, and late data is in it (ARGS="--compounds 56")
	$(BIN)/python -m bench.usage $(ARGS)
	$(BIN)/python -m bench.late

bench-alerts: $(INSTALLED) ## how quickly people are told of faults (ARGS="--database postgresql")
	$(BIN)/python -m bench.alerts $(ARGS)

bench-console: $(INSTALLED) ## pages, their weight and first paint, live updates, 200 open consoles: an hour
	@failed=0; for what in "pages --keep data/bench-year" \
		"pages --keep data/bench-year --database postgresql" "browser --keep data/bench-year" \
		live "live --database postgresql" consoles "consoles --database postgresql"; do \
		echo "== $$what"; $(BIN)/python -m bench.$$what $(ARGS) || failed=1; done; exit $$failed

chaos: $(INSTALLED) ## kills and outages against the real processes, hours (ARGS="kills --kills 20")
	$(BIN)/python -m chaos $(ARGS)

score: $(INSTALLED) ## faults and usage against the truth: five scenarios (ARGS="--usage usage-month")
	$(BIN)/courtyard score $(if $(ARGS),$(ARGS),--scenario all)
	$(if $(ARGS),,$(BIN)/courtyard score --usage usage-month)

lock: $(INSTALLED) ## resolve the requirements again and write both lock files
	$(BIN)/python -m pip install --quiet "uv==0.13.9"
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra apprise --extra oidc --extra postgres --extra reports --extra spreadsheets pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra dev pyproject.toml -o requirements-dev.txt

screenshots: $(INSTALLED) ## pictures of every page into docs/screenshots (ARGS="overview faults")
	$(BIN)/python -m tests.screenshots $(ARGS)

wheel: $(INSTALLED) ## build dist/courtyard-*.whl
	$(BIN)/hatchling build -t wheel

$(INSTALLED): requirements-dev.txt pyproject.toml
	@set -e; python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
			if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
			then python=$$candidate; break; fi; \
		done; \
	fi; \
	if [ -z "$$python" ]; then echo "no Python >= 3.11 on PATH: install one" >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then \
		if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$python has no venv module: on Debian and Ubuntu, apt install python3-venv" >&2; \
			exit 1; fi; \
		echo "making $(VENV) with $$python"; $$python -m venv $(VENV); \
	fi; \
	echo "installing the locked packages into $(VENV) (once; about a minute)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--only-binary :all: -r requirements-dev.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .; \
	touch $@
