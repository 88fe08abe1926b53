#!/usr/bin/env bash
# Everything the tests need, and the tests: formatting, lints, unit, property and end-to-end tests, docs, and the images where
# a Docker daemon answers.
# On a fresh Debian or Ubuntu machine with Rust it installs what is missing, or says exactly what to install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

# A package is needed when its command is not there: `package:command`. Debian keeps a server's programs apart from the
# search path, in a folder a version.
initdb=$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | head -n 1 || true)
needed=()
for pair in gcc:cc libc6-dev:/usr/include/stdlib.h "postgresql:${initdb:-initdb}"; do
    package=${pair%%:*} sign=${pair#*:}
    case $sign in
        /*) [ -e "$sign" ] || needed+=("$package") ;;
        *) command -v "$sign" >/dev/null || needed+=("$package") ;;
    esac
done
python3 -c 'import ensurepip, venv' 2>/dev/null || needed+=(python3-venv)
# Images are tested where Docker is. A daemon that is installed and does not run is started, where that is allowed.
if command -v docker >/dev/null && ! docker version >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
    service docker start >/dev/null 2>&1 || :
    for _ in {1..30}; do
        ! docker version >/dev/null 2>&1 || break
        sleep 1
    done
fi
if docker version >/dev/null 2>&1 && ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
    needed+=(docker-compose)
fi
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
    if [[ " ${needed[*]} " == *" postgresql "* ]]; then
        # The tests start servers of their own, so the system needs none: the package of the release's version, told
        # not to make a cluster, instead of the one named `postgresql`.
        version=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]\+\)$/\1/p' | head -n 1)
        needed=("${needed[@]/#postgresql/${version:-postgresql}}")
        if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
            "${as_root[@]}" mkdir -p /etc/postgresql-common
            echo 'create_main_cluster = false' |
                "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get install -qy --no-install-recommends "${needed[@]}"
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

step "dashboard"
# Grafana's own types, in an environment of their own that outlives the checkout.
types=${XDG_CACHE_HOME:-$HOME/.cache}/weir-test/grafana
if ! cmp -s docker/grafana/requirements.txt "$types/requirements.txt"; then
    python3 -m venv --clear "$types"
    "$types/bin/pip" install --quiet --disable-pip-version-check --requirement docker/grafana/requirements.txt
    cp docker/grafana/requirements.txt "$types/requirements.txt"
fi
"$types/bin/python" docker/grafana/check_dashboard.py

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items

step "images"
scripts/test_images.sh "${CARGO_TARGET_DIR:-target}/debug"

step "all tests passed"
