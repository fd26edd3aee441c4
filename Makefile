# Two environments: .venv holds everything, .venv-serve only what `make demo` and `make serve` need (no torch).
# Each is filled from a lock file and again only when that file changes.

PYTHON ?= python3
LOCKS := dev train serve serve-gpu demo
# A machine with an NVIDIA driver serves on CUDA, all others on the CPU; the two runtimes exclude each other.
SERVE_LOCK ?= $(if $(wildcard /dev/nvidia0),requirements/serve-gpu.lock,requirements/serve.lock)

.PHONY: help setup demo serve space test fast check docs format lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

setup: .venv/.installed ## everything, into .venv

demo: .venv-serve/.installed ## the service on http://127.0.0.1:3000 and the page on http://127.0.0.1:7860
	.venv-serve/bin/python -m demo

serve: .venv-serve/.installed ## the service alone
	.venv-serve/bin/python -m serving

space: ## the folder of a hub Space (service and page in one container), into build/space
	rm -rf build/space && mkdir -p build/space/requirements
	cp -r demo serving models LICENSE deploy/space/Dockerfile deploy/space/README.md build/space
	cp requirements/serve.lock requirements/demo.lock build/space/requirements
	find build/space -name __pycache__ -prune -exec rm -r {} +

# A wait for a browser or a server that ran out on a crowded machine is tried once more, and reported as a rerun.
test: .venv/.installed .tools ## all tests that this machine can run
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
		-m "slow or not slow" --reruns 1 --only-rerun "[Tt]ime ?out|monotonic"

fast: .venv/.installed ## the tests that take seconds
	.venv/bin/python -m pytest

check: .venv/.installed ## format, lint, types, docstrings, documentation site, then all tests
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(MAKE) docs
	$(MAKE) test

docs: .venv/.installed ## the documentation site, into site/; any warning is an error
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

format: .venv/.installed ## rewrite in our format
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock: .venv/.installed ## resolve pyproject.toml into requirements/*.lock anew
	$(foreach name,$(LOCKS),.venv/bin/uv pip compile -q --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --group $(name) $(if $(filter train,$(name)),--group export) \
		$(if $(filter dev,$(name)),,-c requirements/dev.lock) -o requirements/$(name).lock &&) true

clean: ## remove both environments
	rm -rf .venv .venv-serve

.venv/.installed: requirements/dev.lock
	$(call install,.venv,requirements/dev.lock)

.venv-serve/.installed: $(SERVE_LOCK) requirements/demo.lock
	$(call install,.venv-serve,$^)

# uv installs ten times faster than pip, and `sync` also removes what a lock no longer names.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "expected Python 3.11 or newer, got $$($(PYTHON) --version); try make PYTHON=python3.12 $@"; exit 1; }
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	test -x $(1)/bin/uv || $(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(1) $(1)/bin/uv pip install --quiet --require-hashes $(addprefix -r ,$(2))
	touch $@
endef

# The browser tests drive Debian's chromium; wrk asks the service and nginx stands before two replicas. Where there is no apt,
# tests say what is missing.
.PHONY: .tools
.tools:
	@{ command -v chromium && command -v wrk && command -v nginx; } > /dev/null \
		|| (apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium wrk nginx-light > /dev/null) \
		|| echo "chromium, wrk or nginx is missing and could not be installed: tests that need them fail or are skipped"
