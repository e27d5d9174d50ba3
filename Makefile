# Heimnetz. `make` says what there is.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help demo up down clean venv login check test chaos soak attacks bench contracts lock

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16
	@echo
	@echo '  The command line:  make venv && export PATH="$(CURDIR)/.venv/bin:$$PATH" && heimnetz --help'

demo: venv up ## start the stack and take a real plugin through it
	@scripts/demo.sh

up: ## start the stack; succeeds when every service is healthy
	@scripts/bootstrap.sh
	@docker compose up --detach --build --wait --wait-timeout 300
	@scripts/addresses.sh

down: ## stop the stack; the data stays
	@docker compose --profile '*' down --remove-orphans

clean: ## remove the stack and its data (asks; YES=1 answers)
	@scripts/clean.sh

venv: ## make .venv: the command line, and what checks and tests need
	@scripts/venv.sh

login: venv ## log the command line in to the stack on this machine
	@scripts/login.sh

check: venv ## lint, types, import rules, unit tests: under a minute
	@scripts/check.sh

test: venv ## everything: unit, integration, contract, end to end
	@scripts/test.sh

chaos: venv ## kill everything at random, cut the power, for about an hour; HEIMNETZ_CHAOS_SEED=N for another order
	@scripts/bootstrap.sh
	@HEIMNETZ_CHAOS_KILLS=$${HEIMNETZ_CHAOS_KILLS:-2000} HEIMNETZ_CHAOS_CUTS=$${HEIMNETZ_CHAOS_CUTS:-200} .venv/bin/pytest -s tests/chaos --ignore=tests/chaos/test_soak.py

soak: venv ## load for two hours, HEIMNETZ_SOAK_MINUTES=N for another time: nothing fails, nothing grows
	@scripts/bootstrap.sh
	@HEIMNETZ_SOAK_MINUTES=$${HEIMNETZ_SOAK_MINUTES:-120} .venv/bin/pytest -s tests/chaos/test_soak.py

attacks: venv ## what a hostile plugin may try, each in a real container: tried, held, by what
	@scripts/bootstrap.sh
	@.venv/bin/python -m pytest -q -p no:randomly -p tests.security.table -m attack services/sandbox/tests services/engine-proxy/tests

bench: venv ## figures against peers and limits, as tables; ROOM=ground for one
	@.venv/bin/python -m benchmarks

contracts: venv ## write contracts/ and docs/reference/ again, from the code
	@.venv/bin/python contracts/generate.py

lock: venv ## bring the locks up to what the .in files ask for
	@requirements/lock.sh
