# shellcheck shell=bash
# What all scripts share. To be sourced.

if [ "${BASH_VERSINFO[0]}" -lt 5 ]; then
    echo "${0##*/} needs bash 5 or newer, and this is $BASH_VERSION" >&2
    exit 1
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$@"
    exit 1
}

# Downloads and tools that outlive the checkout.
tools_folder() { printf '%s/weir-test' "${XDG_CACHE_HOME:-$HOME/.cache}"; }

# The value of a key of the workspace's Cargo.toml: `workspace_key version`.
workspace_key() { sed -n "s/^$1 = \"\(.*\)\"/\1/p" "$root/Cargo.toml" | head -n 1; }

# Creates the virtual environment NAME in the tools folder, unless it exists with the same requirements:
# `python_environment NAME REQUIREMENTS`.
python_environment() {
    local folder requirements=$2
    folder=$(tools_folder)/$1
    if ! cmp -s "$requirements" "$folder/requirements.txt"; then
        python3 -m venv --clear "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
        cp "$requirements" "$folder/requirements.txt"
    fi
}
