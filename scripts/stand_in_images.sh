#!/usr/bin/env bash
# Builds local stand-ins for base images that cannot be pulled: a slim Debian with debootstrap, and on top of it
# PostgreSQL that supports the variables and the init folder of the official image, MariaDB, and moto. Nothing is built if a pull
# succeeds. Needs root, and debootstrap, which it installs. Stand-ins are for tests and for machines without a registry.
#
# Usage: scripts/stand_in_images.sh [--rust]     --rust: also the Rust image, from this machine's toolchain
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
case $# in
    0) with_rust='' ;;
    *)
        [ "$*" = --rust ] || die "unknown arguments: $*; the only option is --rust, which also builds the Rust image"
        with_rust=yes
        ;;
esac
load_defaults
need_docker

# Whether the image $1 needs a stand-in.
is_needed() {
    if has_image "$1"; then
        say "$1 is available: no stand-in is needed"
    elif has_image "$(stand_in_of "$1")"; then
        say "$(stand_in_of "$1") already exists"
    elif docker pull --quiet "$1"; then
        say "$1 was pulled: no stand-in is needed"
    else
        say "$1 cannot be pulled: building $(stand_in_of "$1")"
        return 0
    fi
    return 1
}

stand_in_debian() {
    [ "$(id -u)" -eq 0 ] || die "debootstrap needs root: sudo scripts/stand_in_images.sh"
    if ! command -v debootstrap >/dev/null; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends debootstrap
    fi
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    if ! debootstrap --variant=minbase bookworm "$folder/debian" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
        >"$folder/log" 2>&1; then
        tail -n 20 "$folder/log" >&2
        die "debootstrap failed; set DEBIAN_MIRROR to use another mirror"
    fi
    # What the official slim image omits, and the configuration that makes dpkg and apt omit it too.
    local slim=(usr/share/doc usr/share/info usr/share/locale usr/share/man)
    printf 'path-exclude=/%s/*\n' "${slim[@]}" >"$folder/debian/etc/dpkg/dpkg.cfg.d/docker"
    cat >"$folder/debian/etc/apt/apt.conf.d/docker" <<'APT'
Acquire::Languages "none";
APT::Install-Recommends "false";
Apt::AutoRemove::SuggestsImportant "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT
    printf '#!/bin/sh\nexit 101\n' >"$folder/debian/usr/sbin/policy-rc.d"
    chmod 755 "$folder/debian/usr/sbin/policy-rc.d"
    (
        cd "$folder/debian"
        find "${slim[@]}" var/cache/apt var/lib/apt/lists var/log tmp -mindepth 1 -delete
        rm -f etc/resolv.conf
    )
    tar --directory "$folder/debian" --create --numeric-owner . |
        docker import --change 'CMD ["bash"]' - "$(stand_in_of "$DEBIAN_IMAGE")" >/dev/null
}

# `on_debian IMAGE CONTEXT [OPTION…]` builds the stand-in for IMAGE on Debian.
on_debian() {
    local image=$1 context=$2 debian=$DEBIAN_IMAGE
    shift 2
    need_image debian
    docker build --force-rm --quiet --build-arg "DEBIAN_IMAGE=$debian" --tag "$(stand_in_of "$image")" "$@" "$context" >/dev/null
}

stand_in_postgres() { on_debian "$POSTGRES_IMAGE" "$root/docker/stand-in/postgres"; }

stand_in_mariadb() { on_debian "$MARIADB_IMAGE" "$root/docker/stand-in/mariadb"; }

# moto at the version of scripts/requirements-moto.txt, for the Python of the Debian image, with what it needs at the versions that
# the tests have. The packages come from this machine's pip, which knows how to reach a registry.
stand_in_s3() {
    local requirement version pip
    requirement=$(grep '^moto\[' "$root/scripts/requirements-moto.txt")
    version=${S3_IMAGE%@*} version=${version##*:}
    [ "${requirement##*==}" = "$version" ] ||
        die "$S3_IMAGE and scripts/requirements-moto.txt, which has $requirement, must have the same version"
    python_environment moto "$root/scripts/requirements-moto.txt"
    made=$(mktemp -d)
    trap 'rm -rf "${folder:-}" "$made"' EXIT
    pip=$(tools_folder)/moto/bin/pip
    "$pip" freeze >"$made/constraints"
    "$pip" install --quiet --disable-pip-version-check --only-binary :all: --python-version 3.11 \
        --target "$made/packages" --constraint "$made/constraints" "$requirement"
    tar --create --mode a+rX --directory "$root/docker/stand-in/moto" Dockerfile --directory "$made" packages | on_debian "$S3_IMAGE" -
}

# Compiler and standard library without documentation, and this machine's trusted certificates.
stand_in_rust() {
    local toolchain
    toolchain=$(rustc --print sysroot) || die "a stand-in for $RUST_IMAGE needs Rust on this machine: install it with rustup"
    # A distribution's Rust has no folder of its own.
    [ "$toolchain" != /usr ] || die "a stand-in for $RUST_IMAGE cannot be built from a distribution's Rust: install it with rustup"
    tar --create --directory "$root/docker/stand-in/rust" Dockerfile --directory "$toolchain" bin lib \
        --directory /etc/ssl certs/ca-certificates.crt | on_debian "$RUST_IMAGE" -
}

if is_needed "$DEBIAN_IMAGE"; then
    stand_in_debian
fi
if is_needed "$POSTGRES_IMAGE"; then
    stand_in_postgres
fi
if is_needed "$MARIADB_IMAGE"; then
    stand_in_mariadb
fi
if is_needed "$S3_IMAGE"; then
    stand_in_s3
fi
if [ -n "$with_rust" ] && is_needed "$RUST_IMAGE"; then
    stand_in_rust
fi
