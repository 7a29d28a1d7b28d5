# The front door. `make demo` and `make test` set up a fresh Debian 12 machine by themselves.
NODE := node_modules/node/bin/node
AMBIT := $(NODE) packages/cli/src/main.ts
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/node-compile

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check fuzz bench clean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' Makefile

setup:
	@scripts/setup.sh

demo: setup ## A mesh on two nodes in front of your eyes, each step verified; leaves nothing behind
	@$(NODE) test/demo/main.ts

up: setup ## The demo's world, left running, with commands to try
	@$(NODE) test/demo/up.ts

down: setup ## Ends what `make up` started
	@$(NODE) test/demo/down.ts

test: setup ## Every test; the last line says how many passed and failed
	@$(NODE) scripts/test.ts

check: ## Types, lint, import boundaries
	@test -x $(NODE) || scripts/setup.sh
	@node_modules/.bin/tsc --noEmit -p tsconfig.json
	@node_modules/.bin/biome check --error-on-warnings .
	@$(NODE) --test --test-reporter=dot test/boundaries.test.ts

fuzz: setup ## Five minutes of made-up peers against the tunnel's framing
	@$(NODE) test/fuzz/hbone.ts $(or $(SECONDS),300)

bench: ## Measurements against peers in the same run, as ratios; ARGS="--only throughput" and others
	@scripts/setup.sh haproxy:haproxy iperf3:iperf3 wrk:wrk nginx:nginx-light
	@$(NODE) test/bench/main.ts $(ARGS)

clean: ## Ends what is left of earlier runs and removes what was built or stored here
	@test ! -x $(NODE) || $(NODE) test/demo/down.ts
	@rm -rf .ambit node_modules packages/*/node_modules
