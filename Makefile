# keadm: what a person types. Each target says what it needs; `make help` lists them.
.POSIX:
CARGO ?= cargo
RELEASE = target/release/keadm
RELEASE_PATH = $(CURDIR)/$(RELEASE)
SCENARIOS = KEADM_TEST_ROOTFS="$$(tests/setup/rootfs.sh)" KEADM_TEST_BINARY="$(RELEASE_PATH)" \
	$(CARGO) test --locked --test scenarios --

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 22

build: ## the release binary, $(RELEASE)
	$(CARGO) build --locked --release --bin keadm

demo: build ## root: this machine becomes a cloud and an edge that runs a pod
	tests/setup/packages.sh demo
	demo/up.sh $(RELEASE)

demo-down: ## root: takes the demo away again
	demo/down.sh $(RELEASE)

test: check unit scenarios ## root: everything CI runs, except the real cluster

check: ## format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: ## tests that need neither root nor a runtime; completions and the house rules are among them
	tests/setup/packages.sh test
	$(CARGO) test --locked --workspace

scenarios: build ## root: the real binary on real hosts with real containerd
	tests/setup/packages.sh test
	$(CARGO) test --locked -p edged -- --ignored --test-threads=1
	$(CARGO) test --locked -p cloudcore -- --ignored --test-threads=1
	$(SCENARIOS) --ignored --test-threads=1 --nocapture --skip bench::first_light --skip kubernetes::

test-kubernetes: build ## root: the main scenarios against kube-apiserver 1.20.2, built once a machine
	tests/setup/packages.sh test
	KEADM_TEST_KUBERNETES="$$(tests/setup/kubernetes.sh)" $(SCENARIOS) --ignored --test-threads=1 --nocapture kubernetes::

bench-first-light: build ## root: join → Ready, apply → Running, idle CPU and writes with 20 pods
	tests/setup/packages.sh test
	$(SCENARIOS) --ignored --test-threads=1 --nocapture bench::first_light

bench-footprint: build ## root: idle resident memory of edgecore and cloudcore
	tests/setup/packages.sh test
	$(SCENARIOS) --ignored --test-threads=1 --nocapture bench::footprint

.PHONY: help build demo demo-down test check unit scenarios test-kubernetes bench-first-light bench-footprint
