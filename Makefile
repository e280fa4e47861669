# SPDX-License-Identifier: Apache-2.0
# The front door: every task of a developer is one target here. Meson and tools/ do the work.
.DEFAULT_GOAL := help
.PHONY: help run build test torture asan tsan test-clients bench bench-kill bench-backlog lint fuzz format cover install-deps clean

BUILD ?= build
JOBS ?= $(shell nproc)
ARGS ?=
FUZZ_SECONDS ?= 60
HISTORIES ?=
TORTURE_SECONDS ?= 1800
CONFIGURE := tools/configure
NINJA := ninja -j$(JOBS)

help: ## this list
	@echo 'TokkiMQ: make <target>'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'Variables: ARGS= (make run, bench, bench-kill, bench-backlog, test-clients), JOBS=, FUZZ_SECONDS=60, HISTORIES=, TORTURE_SECONDS=1800'

run: build ## install what is missing, build, start a broker on port 5672 with ./data
	$(BUILD)/release/tokkimq --data-dir data --port 5672 $(ARGS)

build: ## build/release/tokkimq and build/release/tokki-perf
	@tools/install-deps build
	@$(CONFIGURE) $(BUILD)/release -Dtests=disabled
	@$(NINJA) -C $(BUILD)/release

test: ## everything CI runs but lint's builds: unit and wire tests under sanitizers
	@tools/install-deps build test
	@tools/test-all

torture: ## 30 minutes of seeded histories on a disk that forgets; HISTORIES=n, or ARGS='--seed N --verbose' repeats one
	@tools/install-deps build
	@$(CONFIGURE) $(BUILD)/release -Dtests=disabled
	@$(NINJA) -C $(BUILD)/release torture
	$(BUILD)/release/torture $(or $(ARGS),$(if $(HISTORIES),--histories $(HISTORIES),--seconds $(TORTURE_SECONDS)))

asan: ## build/asan: debug with AddressSanitizer and UBSan
	@$(CONFIGURE) --kind asan $(BUILD)/asan
	@$(NINJA) -C $(BUILD)/asan

tsan: ## build/tsan: debug with ThreadSanitizer
	@$(CONFIGURE) --kind tsan $(BUILD)/tsan
	@$(NINJA) -C $(BUILD)/tsan

test-clients: build ## the client libraries of every language against the release build
	@tools/install-deps test clients
	tests/run --bin $(BUILD)/release/tokkimq --suite clients-all $(ARGS)

bench: build ## rates and CPU per message, next to RabbitMQ in the same run
	@tools/install-deps bench
	bench/run $(ARGS)

bench-kill: build ## kill -9 under load, 50 rounds, every confirmed message accounted for
	@tools/install-deps bench
	bench/kill $(ARGS)

bench-backlog: build ## long queues: memory, start, rates, reads, latency beside them, expiry; ARGS='--list'
	@tools/install-deps bench
	bench/backlog $(ARGS)

lint: ## layers, headers, format, sizes, SPDX, banned calls; gcc and clang with -Werror
	@tools/install-deps build test
	@tools/lint

fuzz: ## build the fuzzers and run each for FUZZ_SECONDS on its corpus
	@tools/install-deps build test
	@tools/run-fuzzers $(BUILD)/fuzz $(FUZZ_SECONDS)

format: ## rewrite the sources in the house's format
	@tools/check-format --fix

cover: ## line coverage of the unit tests
	@tools/install-deps build test cover
	@$(CONFIGURE) --kind cover $(BUILD)/cover
	@meson test -C $(BUILD)/cover --quiet
	@gcovr --root . --filter src/ --exclude '.*_test\.c' --exclude '.*\.gen\.c' $(BUILD)/cover

install-deps: ## install the packages of every group
	@tools/install-deps build test clients bench

clean: ## remove build/ (never data/)
	rm -rf $(BUILD)
