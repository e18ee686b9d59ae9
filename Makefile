# The two commands of a newcomer: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Tests run in JOBS processes, each file's in one of them.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: help matrix demo quick test test-all exhaustive gpu lint bench statistics attack fuzz kills trackers editors vscode claims snapshot small-study open-study pictures install generate docs site constraints clean

help:
	@echo "make demo      install, write and validate the loss study's 24 configs, and train one of them"
	@echo "make quick     the tests that train nothing (two minutes on two cores)"
	@echo "make test      install, and run the tests (a quarter of an hour on two cores; JOBS=N for N)"
	@echo "make test-all  every test that needs no GPU, as CI runs them (three quarters of an hour on two cores)"
	@echo "make matrix    install on each Python from nothing, and try both sets of the stack (downloads gigabytes)"
	@echo "make gpu       what holds on a CUDA card and what it costs there; written to docs/gpu.md"
	@echo "make exhaustive  all of what CI tries a sample of: every fault proved, every cell trained (half an hour)"
	@echo "make claims    run what each rule says is bad by the real classes: does it end as the rule says? (docs/claims.md; a quarter of an hour)"
	@echo "make lint      ruff, mypy and the import contracts"
	@echo "make bench     the measurements of docs/performance.md"
	@echo "make attack    hostile files, made programs, mutants, kills; writes docs/reliability.md (SECONDS=600 SEED=1000000)"
	@echo "make fuzz      files that a coverage-guided fuzzer makes for reader and loader (SECONDS=3600), in .venv-fuzz"
	@echo "make editors   try the language server in Neovim and by VS Code's client (needs nvim and node)"
	@echo "make vscode    build the VS Code extension, editors/vscode/provecfg.vsix (needs node 20 and later)"
	@echo "make site      build the documentation's pages, build/site/index.html"
	@echo "make small-study  train 36 tiny cells on drawn scenes, and write the report of docs/small-study.md"
	@echo "make open-study DATA=DIR  from a folder to a run, for other models, label maps and strategies; written to docs/data.md"
	@echo "make pictures  a terminal, an editor and the report as the pages show them (needs tmux, nvim and chromium)"
	@echo "make kills     kill a study of small cells at a hundred random moments, under the queue and under Slurm (KILLS=100)"
	@echo "make trackers  runs in MLflow's own server, Weights & Biases and TensorBoard"
	@echo "make statistics  how often the report's verdicts are wrong, on simulated studies"

install: $(INSTALLED)

small-study: install
	PATH="$(abspath $(BIN)):$$PATH" sh docs/small-study/run.sh

# OpenCV's wheel, which mmcv asks for, loads libGL and glib from the system. Where there are none, the files of its
# headless twin, which is installed beside it and needs neither, take the place of its own.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "provecfg needs Python 3.10 to 3.13; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--no-deps --force-reinstall opencv-python-headless
	@touch $@

# On BDD10k where it is (PROVECFG_BDD10K_ROOT, or data/bdd100k), else on a street scene that provecfg draws itself.
BDD10K := $(or $(PROVECFG_BDD10K_ROOT),data/bdd100k)
DEMO_RUN := $(if $(wildcard $(BDD10K)/images/10k/train),--data-root $(BDD10K) --max-iters 40 --no-pretrained,--smoke)

demo: install
	$(BIN)/provecfg generate --all
	$(BIN)/provecfg validate configs
	$(BIN)/provecfg run generated/pspnet_r50_bdd10k_focal.py $(DEMO_RUN) --work-dir work_dirs/demo

quick: install
	$(PYTEST) -m "not slow and not long"

test: install
	$(PYTEST) -m "not long" --no-skips

test-all: install
	$(PYTEST) --no-skips

exhaustive: install
	$(PYTEST) -m exhaustive --exhaustive --no-skips

claims: install
	PYTHONPATH=. $(BIN)/python -m tests.rules.claims.table

matrix: install
	$(BIN)/python tests/installation/matrix.py --newest-torch 3.13 --page docs/installing.md

gpu: install
	$(BIN)/python -m pytest tests/gpu --cuda

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

# DIR holds real images in BDD10k's layout.
open-study: install
	PYTHONPATH=. $(BIN)/python tests/open_study.py $(DATA) --page docs/data.md

kills: install
	PYTHONPATH=. $(BIN)/python -m tests.engines.kills --kills $(KILLS) --seed $(SEED) --page docs/scale.md

# MLflow and Weights & Biases bring a hundred packages, so they are no part of the environment.
trackers: install
	$(BIN)/python -m venv build/trackers
	for packages in $(abspath $(VENV))/lib/python3*/site-packages; do echo "import site; site.addsitedir('$$packages')" \
		> build/trackers/lib/$$(basename $$(dirname $$packages))/site-packages/provecfg.pth; done
	build/trackers/bin/python -m pip install --quiet mlflow wandb
	build/trackers/bin/python -m pytest tests/plugin/trackers

statistics: install
	PYTHONPATH=. $(BIN)/python tests/results/simulation.py

SECONDS ?= 600
SEED ?= 1000000
SLACK ?= 1
KILLS ?= 100

attack: install
	PYTHONPATH=. $(BIN)/python -m tests.attack.attack --seconds $(SECONDS) --seed $(SEED) --slack $(SLACK) --page docs/reliability.md
	PYTHONPATH=. $(BIN)/python -m tests.attack.kills --seconds $(SECONDS) --seed $(SEED) --page docs/reliability.md

# atheris has wheels for Linux and CPython 3.11 to 3.13; it is in no extra, since nothing else needs it.
fuzz:
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --constraint constraints.txt --editable . atheris
	PYTHONPATH=. .venv-fuzz/bin/python -m tests.attack.coverage_guided --seconds $(SECONDS) --seed $(SEED) --slack $(SLACK) \
		--folder build/fuzz --page docs/reliability.md

editors/vscode/node_modules: editors/vscode/package.json
	cd editors/vscode && npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

editors: install editors/vscode/node_modules
	PATH="$(abspath $(BIN)):$$PATH" nvim --headless -u NONE -c 'luafile editors/check.lua'
	cd editors/vscode && PATH="$(abspath $(BIN)):$$PATH" npm run --silent check

vscode: editors/vscode/node_modules
	cd editors/vscode && npm run --silent package

generate: install
	$(BIN)/provecfg generate --all

docs: install
	$(BIN)/python -m docs.generate

pictures: install
	$(BIN)/python -m docs.generate.terminal_picture
	$(BIN)/python -m docs.generate.editor_picture
	$(BIN)/python -m docs.generate.report_picture

site: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -j $(JOBS) docs build/site

snapshot: install
	$(BIN)/python -m provecfg.registry.snapshot
	$(BIN)/python -m docs.generate.accepted_parts
	$(BIN)/python -m docs.generate.experiments.tried_domains
	$(BIN)/python -m docs.generate.plugin_snapshot

constraints:
	@command -v uv >/dev/null || { echo "needs uv: pip install uv"; exit 1; }
	{ sed -n '/^#/p' constraints.txt; uv pip compile --universal --python-version 3.10 pyproject.toml --extra train --extra dev --extra docs \
		--no-annotate --no-header --no-emit-index-url --upgrade --quiet | grep -v -E '^(nvidia-|cuda-|triton)'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
