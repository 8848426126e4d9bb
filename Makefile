# make run · make test · make bench: each first installs what the machine lacks.

SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.PHONY: run test lint bench tools

# Opens the client on its own server. Settings are in README.md.
run: tools
	cargo build --release --bin stockroom --bin stockroom-server
	exec ./target/release/stockroom $(ARGS)

# The binaries come first: the tests start them.
test: tools
	cargo build --workspace --bins
	cargo test --workspace

# What CI checks besides the tests.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Measures what docs/benchmarks.md tells.
bench: tools
	cargo build --release --bin stockroom-server
	cargo bench -p stockroom-tests --benches

tools:
	@./deploy/install-tools
