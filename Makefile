# As root, everything but the installation itself runs as the user vigie, from /opt/vigie/app.
ifeq ($(shell id -u),0)
VENV := /opt/vigie/venv
RUN := cd /opt/vigie/app && setpriv --reuid vigie --regid vigie --init-groups \
       env HOME=/var/lib/vigie USER=vigie LOGNAME=vigie PYTHONDONTWRITEBYTECODE=1
else
VENV := $(CURDIR)/.venv
RUN := VIGIE_STATE_DIR="$${VIGIE_STATE_DIR:-$$HOME/.local/state/vigie}"
endif

.PHONY: help install demo up test bench bench-rota chaos lint clean

help:
	@echo 'make demo    install what is missing, put real calls through the whole stack, show their stories'
	@echo 'make up      the same stack, left running until Ctrl-C'
	@echo 'make test    all tests'
	@echo 'make bench   what it costs and bears, beside a plain Dial() (ARGS=--quick: whether the bench works)'
	@echo 'make bench-rota  what ten changes of a large rota a second cost a worker'
	@echo 'make chaos   ten minutes of calls while everything dies (CHAOS="--seconds 60 --seed 7": less of it)'
	@echo 'make lint    style and types'
	@echo 'make clean   remove what the tools left in this directory'

install:
	@./install.sh

demo: install
	@$(RUN) $(VENV)/bin/python -m lab.demo

up: install
	@$(RUN) $(VENV)/bin/vigie up

test: install
	@$(RUN) $(VENV)/bin/python -m pytest -n 3 --dist loadfile $(TESTS)

bench: install
	@$(RUN) $(VENV)/bin/python -m lab.bench $(ARGS)

bench-rota: install
	@$(RUN) $(VENV)/bin/python -m lab.bench.rota

chaos: install
	@$(RUN) $(VENV)/bin/python -m lab.chaos $(CHAOS)

lint: install
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

clean:
	@rm -rf .mypy_cache .ruff_cache .hypothesis .venv
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
