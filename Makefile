# The two commands of a newcomer: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test quick lint bench install generate docs constraints clean

help:
	@echo "make demo    install, write and validate the loss study's 24 configs, and train one of them"
	@echo "make test    install, and run every test (about half an hour on two cores)"
	@echo "make quick   the tests that train nothing"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "make bench   the measurements of docs/performance.md"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
		{ echo "provecfg needs Python 3.10 to 3.12; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $@

# On BDD10k where it is (PROVECFG_BDD10K_ROOT, or data/bdd100k), else on a street scene that provecfg draws itself.
BDD10K := $(or $(PROVECFG_BDD10K_ROOT),data/bdd100k)
DEMO_RUN := $(if $(wildcard $(BDD10K)/images/10k/train),--data-root $(BDD10K) --max-iters 40 --no-pretrained,--smoke)

demo: install
	$(BIN)/provecfg generate --all
	$(BIN)/provecfg validate configs
	$(BIN)/provecfg run generated/pspnet_r50_bdd10k_focal.py $(DEMO_RUN) --work-dir work_dirs/demo

test: install
	$(BIN)/python -m pytest

quick: install
	$(BIN)/python -m pytest -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

# On a machine with a CUDA card; what it measures goes to docs/gpu.md.
.PHONY: gpu
gpu: install
	$(BIN)/python -m pytest -m gpu tests/gpu

generate: install
	$(BIN)/provecfg generate --all

docs: install
	$(BIN)/python -m docs.generate

constraints:
	@command -v uv >/dev/null || { echo "needs uv: pip install uv"; exit 1; }
	{ sed -n '/^#/p' constraints.txt; uv pip compile --universal --python-version 3.10 pyproject.toml --extra train --extra dev \
		--no-annotate --no-header --no-emit-index-url --upgrade --quiet | grep -v -E '^(nvidia-|cuda-|triton)'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
