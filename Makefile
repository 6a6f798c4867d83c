# `make demo` and `make test` install what is missing, build and run. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
TRAIN = .build/release/train
PYTHON ?= python3
# The installed venv points at this one: every user must be able to run it.
INSTALL_PYTHON ?= /usr/bin/python3
SWIFT_MINIMUM = 6.3
# Loaded by the interpreter's zygote, which is a Python program.
SNAPSHOT = .build/libMartletSnapshot.so

# pkg-config is how SwiftPM finds the two libraries in Debian's folders.
APT_PACKAGES = libopenblas-dev liblapacke-dev libhdf5-dev pkg-config python3-venv

# Tests need -enable-testing and therefore a build folder of their own: with one folder each build would undo the other.
TEST = swift test -c release -Xswiftc -enable-testing --scratch-path .build-test

# The texts that `make demo-base` trains on (configs/demo-base.yaml names the file). Shares: by hand, code late, result
# distrusted, plain transcript.
BASE_TEXTS = checkpoints/demo-base.jsonl
BASE_SEED = 1
BASE_COUNT = 36000
BASE_SHARES = 0.50,0.44,0.03,0.03

# How often `make kills` kills.
KILLS ?= 1000

# What `make fuzz` feeds, and for how long each.
FUZZ_READERS ?= safetensors config gguf tokenizer yaml jsonl model journal manifest
FUZZ_SECONDS ?= 60
FIXTURES = Tests/CheckpointTests/Fixtures

.PHONY: help deps swift packages build commit test demo demo-base demo-cut kills attack fuzz install lint format \
  check-configs bench compare check-mutants mutate architecture clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: swift packages .venv/requirements.txt  ## install what is missing: apt packages, .venv; Swift only by hand

swift:
	@version=$$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' || true); \
	if [ -z "$$version" ]; then \
	  echo "Swift was not found; $(SWIFT_MINIMUM) or newer is needed."; \
	elif [ "$$(printf '%s\n' $(SWIFT_MINIMUM) "$$version" | sort -V | head -n 1)" != $(SWIFT_MINIMUM) ]; then \
	  echo "Swift $$version was found; $(SWIFT_MINIMUM) or newer is needed."; \
	else exit 0; fi; \
	echo "Get it from https://www.swift.org/install/linux (toolchain archive, or with swiftly:"; \
	echo "  curl -O https://download.swift.org/swiftly/linux/swiftly-$$(uname -m).tar.gz"; \
	echo "  tar zxf swiftly-$$(uname -m).tar.gz && ./swiftly init"; \
	echo "), put its usr/bin in PATH, and run make again."; \
	exit 1

# Elsewhere than on Debian and its children the packages are the reader's to find: their names are printed.
packages:
	@if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then \
	  for library in openblas hdf5; do \
	    pkg-config --exists $$library || { echo "$$library was not found by pkg-config. Needed: OpenBLAS, LAPACKE," \
	      "serial HDF5, Python 3.11 or newer with venv (Debian: $(APT_PACKAGES))"; exit 1; }; \
	  done; exit 0; \
	fi; \
	missing=""; \
	for package in $(APT_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing+=" $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "installing$$missing"; \
	$$sudo apt-get -q -o DPkg::Lock::Timeout=300 update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
	  install --no-install-recommends $$missing

# The copy of requirements.txt in .venv says what is installed there. Compared by content: a fresh clone's times mean
# nothing. A .venv of other requirements, or whose Python is gone, is made again from the start.
.PHONY: .venv/requirements.txt
.venv/requirements.txt: packages
	@if cmp -s requirements.txt $@ && .venv/bin/python3 -c pass 2>/dev/null; then exit 0; fi; \
	if [ -e $@ ] || ! .venv/bin/python3 -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear .venv; \
	fi; \
	.venv/bin/python3 -m pip install --disable-pip-version-check --quiet -r requirements.txt; \
	cp requirements.txt $@

# A .venv that was made again has lost them, and the copy that says so.
.PHONY: tasks
tasks: .venv/requirements.txt  ## add to .venv what chemistry, optimisation and reasoning-gym need (500 MB)
	@if cmp -s requirements-tasks.txt .venv/requirements-tasks.txt; then exit 0; fi; \
	.venv/bin/python3 -m pip install --disable-pip-version-check --quiet -r requirements-tasks.txt; \
	cp requirements-tasks.txt .venv/

# Swift's runtime is linked in: the program then runs where no Swift is. It names files without the builder's folder.
RELEASE = swift build -c release --static-swift-stdlib -Xcc -ffile-prefix-map=$(CURDIR)=.
BUILD = $(RELEASE) --product train

build: deps commit $(SNAPSHOT)  ## build .build/release/train
	$(BUILD)

# What `train --version` says beside the version. Written only when it changes, and ignored by git. The first time, the
# file that includes it is made newer: the compiler did not note a header that was not there.
COMMIT = Sources/CVersion/commit.h
commit:
	@commit=unknown; \
	if [ "$$(git rev-parse --show-toplevel 2>/dev/null)" = "$(CURDIR)" ]; then \
	  commit=$$(git describe --always --dirty --abbrev=7 --exclude '*'); \
	fi; \
	line="#define MARTLET_COMMIT \"$$commit\""; \
	[ -e $(COMMIT) ] || touch Sources/CVersion/version.c; \
	[ "$$(cat $(COMMIT) 2>/dev/null)" = "$$line" ] || echo "$$line" >$(COMMIT)

# Not a product of the package: those are linked with Swift's runtime, which has no place in a Python process.
$(SNAPSHOT): Sources/Rollout/Python/snapshot.c | deps
	@mkdir -p $(@D)
	$(or $(shell command -v clang),$(CC)) -O2 -Wall -Wextra -Werror -shared -fPIC $< -o $@

# Other clusters have another MPI and their own compiler for it: MPICC names it. The program opens the library only
# when a launcher has started it.
MPICC ?= mpicc
MPI_PACKAGES = openmpi-bin libopenmpi-dev
.PHONY: mpi test-cluster
mpi:  ## build the plug-in for mpirun and srun; installs Open MPI unless there is a mpicc (MPICC=compiler)
	@command -v $(MPICC) >/dev/null || $(MAKE) --no-print-directory packages APT_PACKAGES="$(MPI_PACKAGES)"
	@command -v $(MPICC) >/dev/null || { echo "$(MPICC) was not found: install an MPI (Debian: $(MPI_PACKAGES)), or" \
	  "name the cluster's compiler with MPICC=..."; exit 1; }
	@mkdir -p .build
	$(MPICC) -O2 -Wall -Wextra -Werror -shared -fPIC Sources/MPIPlugin/mpi.c -o .build/libMartletMPI.so

# What tools/cluster/test tries: mpi, hosts (as root), slurm; on one host with so many ranks.
PARTS ?= mpi hosts slurm
RANKS ?= 4
test-cluster: deps commit mpi  ## try ranks of real MPI, as far as this machine can (PARTS="mpi hosts", RANKS=number)
	$(RELEASE) --product cluster-ranks
	RANKS=$(RANKS) tools/cluster/test $(PARTS)

test: deps commit $(SNAPSHOT)  ## build and run every test (FILTER=name: those that match)
	$(TEST) $(if $(FILTER),--filter '$(FILTER)')

# A finished demo is removed and made again; an interrupted one goes on where it stopped.
demo: build  ## the main job: a small model learns to use Python; ends in a table and report.html
	@if [ -e checkpoints/demo/summary.json ]; then rm -rf checkpoints/demo; fi
	@resume=""; if [ -d checkpoints/demo ]; then resume=--resume; fi; \
	set -x; $(TRAIN) pipeline configs/demo.yaml $$resume
	@echo "Report: $(CURDIR)/checkpoints/demo/report.html"

demo-base: build  ## train the demo's base from random weights and compare its hash with the shipped one
	rm -rf checkpoints/demo-base
	$(TRAIN) problems --texts --seed $(BASE_SEED) --count $(BASE_COUNT) --shares $(BASE_SHARES) --output $(BASE_TEXTS)
	$(TRAIN) sft configs/demo-base.yaml
	@made=$$($(TRAIN) inspect --hash checkpoints/demo-base/model.h5); \
	shipped=$$($(TRAIN) inspect --hash configs/demo/base.h5); \
	echo "trained: $$made"; echo "shipped: $$shipped"; \
	if [ "$$made" = "$$shipped" ]; then echo "The weights are equal."; else echo "The weights differ."; exit 1; fi

demo-cut: build  ## a short cut of the demo, end to end, fresh each time
	rm -rf checkpoints/demo-cut
	$(TRAIN) pipeline configs/demo-cut.yaml

kills: build  ## kill and resume a short run a thousand times and compare its ends (KILLS=number)
	$(TRAIN) verify-resume configs/kills.yaml --kills $(KILLS)

# What `make install`, the .deb and the image hold, laid out by who builds. Under sudo nothing is built: root's PATH
# rarely has Swift, and .build should stay its owner's.
.PHONY: stage install uninstall deb docker-steps check-install docs check-library
stage: build
	packaging/stage $(INSTALL_PYTHON)

install: $(if $(SUDO_USER),,stage)  ## put train into PREFIX (/usr/local), for every user (DESTDIR: a root to put it below)
	packaging/install "$(PREFIX)" "$(DESTDIR)"

uninstall:  ## remove what make install put into PREFIX, and nothing else
	packaging/uninstall "$(PREFIX)" "$(DESTDIR)"

deb: stage  ## make .build/martlet.deb
	packaging/deb

docker-steps: stage  ## as root, without an engine: run the image's steps, the second in a copy of / without Swift
	packaging/docker/build.sh
	tools/check-install --image

check-install: deb  ## as root: install, use as nobody, remove; the same with the .deb
	tools/check-install

# DocC's pages of the layers, from the modules that `make build` made.
docs: build  ## build the library's documentation in .build/docs
	packaging/docs .build/docs

check-library: deps commit  ## build and run examples/library, a package that imports PPO and Transformer
	swift run --package-path examples/library -c release

lint:  ## check the format of Swift files, the length of lines, the map in docs/architecture.md
	swift format lint --strict --recursive Package.swift Sources Tests Fuzz $(wildcard Benchmarks)
	@tools/line-lengths
	@tools/architecture --check

architecture:  ## draw the picture of docs/architecture.md and set its line numbers
	tools/architecture

format:  ## format every Swift file in place
	swift format --in-place --recursive Package.swift Sources Tests Fuzz $(wildcard Benchmarks)

check-configs: build  ## decode every file of configs/
	$(TRAIN) check configs/*.yaml configs/ablations/*.yaml

bench: build  ## measure kernels, sampling, training and the interpreter beside this machine's limits
	$(TRAIN) bench

# The rivals have an environment of their own, made anew when their versions change.
COMPARE = Benchmarks/compare
MODEL ?=
CASES ?=
ROUNDS ?= 3
REPEATS ?= 3
JSON ?=

$(COMPARE)/.venv/requirements.txt: $(COMPARE)/requirements.txt
	$(PYTHON) -m venv --clear $(COMPARE)/.venv
	$(COMPARE)/.venv/bin/python3 -m pip install --disable-pip-version-check --quiet -r $<
	cp $< $@

compare: build $(COMPARE)/.venv/requirements.txt  ## run transformers, PEFT and TRL beside train (MODEL=folder, CASES="demo long")
	$(COMPARE)/.venv/bin/python3 $(COMPARE)/compare.py $(if $(MODEL),--model $(MODEL)) $(addprefix --case ,$(CASES)) \
	  --rounds $(ROUNDS) --repeats $(REPEATS) $(if $(JSON),--json $(JSON))

check-mutants:  ## check that every fault of tools/mutants.toml still fits its file
	@tools/mutate --list | tail -n 1

attack: build  ## attack the interpreter at every tier, as root (if you are) and as nobody; print one table
	tools/attack --program $(TRAIN)

# A reader's own corpus grows in Fuzz/corpus; the tests' fixtures are its first seeds.
fuzz: deps  ## fuzz every reader of files, FUZZ_SECONDS each, with libFuzzer
	MARTLET_FUZZ=1 swift build -c release --product fuzz --scratch-path .build-fuzz -Xswiftc -sanitize=fuzzer
	@for reader in $(FUZZ_READERS); do \
	  echo "== $$reader"; mkdir -p Fuzz/corpus/$$reader; \
	  FUZZ_READER=$$reader FUZZ_PARTNER=$(FIXTURES)/qwen3-f16 .build-fuzz/release/fuzz Fuzz/corpus/$$reader \
	    $(FIXTURES)/qwen3-f16 $(FIXTURES)/gguf configs -artifact_prefix=Fuzz/ -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	    -rss_limit_mb=2048 -max_len=120000 -print_final_stats=1 2>&1 | grep -E "ERROR|SUMMARY|Test unit|stat::number_of_exec|new_units" \
	    || exit 1; \
	done

mutate: deps  ## put small faults into a copy of the program, one at a time: do the tests see them?
	tools/mutate

clean:  ## remove what was built; .venv and checkpoints stay
	rm -rf .build .build-test .build-mutate .build-fuzz
