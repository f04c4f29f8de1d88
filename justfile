# The only list of commands. `just` alone prints it.

set positional-arguments

# Print the commands.
default:
    @just --list

# Run one scenario: `just sim scenarios/canary.yaml`, `just sim scenario/canary.yaml` and `just sim canary` are the same.
sim scenario *flags:
    #!/usr/bin/env bash
    set -euo pipefail
    name="$1"; shift
    for file in "$name" "${name/#scenario\//scenarios/}" "scenarios/$name.yaml" "scenarios/$name"; do
        if [ -e "$file" ]; then
            exec cargo run --release --quiet -- run "$file" "$@"
        fi
    done
    echo "no scenario named '$name': tried it as a path and below scenarios/" >&2
    exit 2

# Run every scenario.
scenarios *flags:
    cargo run --release --quiet -- run scenarios "$@"

# Run every scenario twice and compare the hashes.
verify:
    cargo run --release --quiet -- run scenarios --verify

# All tests.
test:
    cargo test --workspace

# Format and lint, as CI does.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Speed and memory of the tank.
bench-tank:
    cargo run --release --quiet -p wavetank-conformance --bin bench-tank

# The race: our proxy beside Envoy, nginx and haproxy; all rows or those named, into out/bench. `WAVETANK_ENVOY=/path/to/envoy just bench --quick h1 side`
bench *args:
    cargo build --profile dist --quiet -p wavetank-proxy --bin wavetank-proxy
    cargo run --profile dist --quiet -p wavetank-conformance --bin bench -- "$@"

# Run a scenario on this machine with real processes; takes root: `just live scenario/canary.yaml` and `just live canary` are the same.
live scenario *flags: live-tools
    #!/usr/bin/env bash
    set -euo pipefail
    name="$1"; shift
    for file in "$name" "${name/#scenario\//scenarios/}" "scenarios/$name.yaml" "scenarios/$name"; do
        if [ -e "$file" ]; then
            exec target/release/wavetank live "$file" "$@"
        fi
    done
    echo "no scenario named '$name': tried it as a path and below scenarios/" >&2
    exit 2

# Build what a live run starts.
live-tools:
    cargo build --release --quiet -p wavetank -p wavetank-proxy -p wavetank-control

# Scenarios in the tank, on this machine, and with a real Envoy, in one table; takes root and WAVETANK_ENVOY.
agree *scenarios: live-tools
    cargo run --release --quiet -p wavetank-conformance --bin targets-agree -- "$@"

# Our proxy beside a real Envoy, exchange by exchange and record by record; takes root and WAVETANK_ENVOY.
differential: agree
    cargo test -p wavetank-conformance --test envoy_differential -- --include-ignored

# Put each bug of conformance/planted into a copy of the sources, and see its invariant find it.
planted:
    cargo test -p wavetank-conformance --locked --test planted -- --ignored --nocapture

# Rewrite the goldens and generated pages; read the diff before committing it.
bless:
    INSTA_UPDATE=always WAVETANK_BLESS=1 cargo test --workspace

# Everything CI does.
ci:
    .ci/run
