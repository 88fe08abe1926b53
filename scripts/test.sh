#!/usr/bin/env bash
# Everything the tests need, and the tests: formatting, lints, unit, property and end-to-end tests, docs.
# On a fresh Debian or Ubuntu machine with Rust it installs what is missing, or says exactly what to install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

# A package is needed when its command is not there: `package:command`.
needed=()
for pair in gcc:cc libc6-dev:/usr/include/stdlib.h; do
    package=${pair%%:*} sign=${pair#*:}
    case $sign in
        /*) [ -e "$sign" ] || needed+=("$package") ;;
        *) command -v "$sign" >/dev/null || needed+=("$package") ;;
    esac
done
if [ ${#needed[@]} -gt 0 ]; then
    step "installing ${needed[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo)
    fi
    if ! command -v apt-get >/dev/null || { [ ${#as_root[@]} -gt 0 ] && ! command -v sudo >/dev/null; }; then
        echo "these packages are missing and cannot be installed from here: ${needed[*]}" >&2
        echo "on Debian or Ubuntu: apt-get install ${needed[*]}" >&2
        exit 1
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${needed[@]}"
fi
if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust ($(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer) with rustup" >&2
    exit 1
fi
for part in fmt clippy; do
    if ! cargo "$part" --version >/dev/null 2>&1; then
        echo "cargo $part is missing: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

# Warnings are errors here and in CI; they are not for somebody who is in the middle of a change.
strict=(-- -D warnings)

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked "${strict[@]}"

step "tests"
cargo test --workspace --locked

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items

step "all tests passed"
