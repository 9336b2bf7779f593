# Tern: one place for everything a developer does. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install build run test sim soak model page-test doctor-test observe-test observe-soak lint format docs bench bench-peers chaos cluster images compose-test fuzz clean

BUILD := build
# ccache has to look through precompiled headers.
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime
# Objects of one clone serve another.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: ## install every missing Debian package by name (root or sudo)
	@tools/install/install.sh

$(BUILD)/.installed: tools/install/packages.txt
	@tools/install/install.sh
	@mkdir -p $(BUILD) && touch $@

build: $(BUILD)/.installed ## build everything into build/ (release)
	@cmake --preset release > $(BUILD)/configure.log 2>&1 || { tail -40 $(BUILD)/configure.log; exit 1; }
	@cmake --build $(BUILD)

run: build ## ternd with its data in ./tern-data; ARGS="--set key=value" for options
	@exec $(BUILD)/bin/ternd --data-dir ./tern-data $(ARGS)

# The last line reads "N passed, N failed"; the exit code is ctest's.
test: build ## all tests; TESTS="-R name" or "-L unit" for some of them
	@status=0; ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j 2 -LE soak $(TESTS) \
	  | tee $(BUILD)/ctest.log || status=$$?; \
	sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$$/\1 \2/p' $(BUILD)/ctest.log \
	  | { read -r failed all && echo "$$((all - failed)) passed, $$failed failed"; } || status=1; \
	exit $$status

sim: build ## 10,000 seeds of the simulation (tests/sim), and 1,000 with real routing; SEEDS=number FIRST=seed JOBS=processes
	@$(BUILD)/bin/tern-sim --first $(or $(FIRST),1) --seeds $(or $(SEEDS),10000) --jobs $(or $(JOBS),2)
	@$(BUILD)/bin/tern-sim --first $(or $(FIRST),1) --seeds $(or $(SEEDS),1000) --jobs $(or $(JOBS),2) --routing real

soak: build ## rooms under one kill after the other, minutes per seed; SEEDS="1 2 3"
	@for seed in $(or $(SEEDS),1 2 3); do \
	  echo "seed $$seed"; TERN_SEED=$$seed ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -L soak; done

model: build ## the hand-over explored within wider bounds than in `make test`: minutes, memory
	@TERN_MODEL=large $(BUILD)/tests/handover_model_test

page-test: ## the web page clicked through in Chromium (needs the package chromium); screenshots in build/page-test
	@command -v chromium > /dev/null || { echo "page-test: skipped: Chromium is not installed (apt-get install chromium)"; exit 0; }; \
	$(MAKE) --no-print-directory build && python3 tests/browser/page_test.py --ternd $(BUILD)/bin/ternd --out $(BUILD)/page-test $(ARGS)

doctor-test: build ## sixteen faults of a real cluster, each to be named by ternctl doctor as the one cause; root for the full disk
	@TERN_BIN=$(CURDIR)/$(BUILD)/bin TERN_SOURCE=$(CURDIR) python3 tests/docs/doctor_test.py $(ARGS)

observe-test: build ## what operators see of a local cluster: every query of the dashboards, latency by two clocks, an alert for each of a dozen faults; 15 minutes
	@TERN_BIN=$(CURDIR)/$(BUILD)/bin python3 tests/observe/dashboards_run.py
	@TERN_BIN=$(CURDIR)/$(BUILD)/bin python3 tests/observe/latency_run.py
	@TERN_BIN=$(CURDIR)/$(BUILD)/bin python3 tests/observe/alerts_fire_test.py $(ARGS)

observe-soak: build ## a healthy cluster under light load for SOAK_SECONDS (600): no alert may fire
	@TERN_BIN=$(CURDIR)/$(BUILD)/bin python3 tests/observe/alerts_fire_test.py --only none --healthy $(or $(SOAK_SECONDS),600)

lint: ## formatting, dependency rules, file sizes, scripts
	@python3 tools/lint/lint.py

format: ## clang-format all C++ files in place
	@git ls-files -co --exclude-standard '*.cpp' '*.hpp' | xargs -r clang-format -i

docs: build ## write docs/configuration.md from what the programs declare
	@tools/docs/configuration.sh $(BUILD)/bin > $(BUILD)/configuration.md
	@cp $(BUILD)/configuration.md docs/configuration.md

bench: build ## benchmarks on ternd and a local cluster; writes docs/benchmarks.md; ARGS=--quick
	@$(BUILD)/bin/tern-bench suite $(ARGS)

bench-peers: build ## the same relay work done by ejabberd and by ternd, as ratios; needs root and ejabberd
	@python3 tools/bench/peers/peers.py --binaries $(BUILD)/bin $(ARGS)

chaos: build ## faults on a real cluster under traffic, to docs/chaos.md; root for network cases; ARGS="--only drain" prints only
	@$(BUILD)/bin/tern-chaos $(if $(findstring --,$(ARGS)),,--output docs/chaos.md) --histories $(BUILD)/chaos $(ARGS)

cluster: build ## a local cluster with PostgreSQL and Redis until Ctrl-C; data in ./tern-cluster
	@exec $(BUILD)/bin/tern-cluster $(ARGS)

images: build ## the container image tern:local and, where no registry is reached, those beside it; needs Docker and Debian 12
	@deploy/images/images.sh --prebuilt $(BUILD)/bin

compose-test: build ## deploy/compose from images to `down -v`, kills and leaks; needs Docker, or root to start it; ARGS="--keep-images"
	@mkdir -p $(BUILD)/compose-test
	@python3 tests/compose/compose_test.py --bin $(BUILD)/bin --output $(BUILD)/compose-test/table.md $(ARGS)

fuzz: $(BUILD)/.installed ## libFuzzer on every parser, FUZZ_SECONDS (60) each
	@tools/install/install.sh --optional
	@tools/fuzz/fuzz.sh $(or $(FUZZ_SECONDS),60)

clean: ## remove build/
	@rm -rf $(BUILD)
