# make run · make test · make test-all · make bench · make chaos: each first installs what the machine lacks.

SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.PHONY: run test test-all lint bench chaos tools test-tools

# Opens the client on its own server. Settings are in README.md.
run: tools
	cargo build --release --bin stockroom --bin stockroom-server
	exec ./target/release/stockroom $(ARGS)

# The binaries come first: the tests start them.
test: test-tools
	cargo build --workspace --bins
	cargo test --workspace -- $(addprefix --skip ,$(SLOW))

# The slow tests too. Both targets select by these names, so none is left out if one of them changes.
SLOW := chaos_detects_every_breach_of_the_protocol reads_under_chaos_are_never_older_than_acknowledged_writes \
	protocol_holds_in_every_order_of_its_steps seed_job_resumes_on_the_next_server \
	cancelled_seed_job_resumes_where_it_stopped restored_export_is_identical_byte_by_byte
test-all: test
	cargo test --workspace -- $(SLOW)

# What CI checks besides the tests.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	./deploy/check-dependencies

# Measures what docs/benchmarks.md tells, and writes it there.
bench:
	@./deploy/install-tools bench
	cargo build --release --bins
	cargo bench -p stockroom-tests --bench cache --bench paging --bench seeding --bench partitioning \
		--bench importing --bench feed --bench terminal --bench memory

# Looks for stale reads under random faults: make chaos SECONDS=600 SEED=7
SECONDS ?= 120
SEED ?=
chaos: test-tools
	cargo build --release --bins -p stockroom-server -p stockroom-tests
	export STOCKROOM_CHAOS_SECONDS=$(SECONDS)
	export STOCKROOM_CHAOS_SEED=$(or $(SEED),$$RANDOM$$RANDOM)
	cargo test --release -p stockroom-tests --test cache -- --nocapture --exact \
		chaos::reads_under_chaos_are_never_older_than_acknowledged_writes

tools:
	@./deploy/install-tools

test-tools:
	@./deploy/install-tools test
