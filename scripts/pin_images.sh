#!/usr/bin/env bash
# Pins the base images by digest, so that a release is built from and runs on images that cannot change.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"

usage() {
    cat <<'USAGE'
scripts/pin_images.sh [--check] [--file FILE]

Pulls the tag of each base image from its registry and writes its digest behind it: name:tag@sha256:… To move to what a
tag names now, or after changing a tag, run it again. If an image cannot be pulled, nothing is written.

  --check      change nothing and pull nothing; exit code 1 if an image is not pinned
  --file FILE  another file than docker/.env
USAGE
}

names=(DEBIAN_IMAGE RUST_IMAGE POSTGRES_IMAGE MARIADB_IMAGE GRAFANA_IMAGE S3_IMAGE)
file=$root/docker/.env check=''
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=yes ;;
        --file)
            [ $# -ge 2 ] || die "--file needs a path"
            file=$2
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        *) die "unknown argument $1; --help lists the options" ;;
    esac
    shift
done
[ -f "$file" ] || die "$file does not exist"

# The value of the variable $1 in the file.
image_of() {
    local image
    image=$(sed -n "s/^$1=//p" "$file")
    [[ $image =~ ^[^[:space:]]+$ ]] || die "$file must have one line $1=NAME:TAG"
    printf '%s' "$image"
}

check_all() {
    local name image unpinned=0
    for name in "${names[@]}"; do
        image=$(image_of "$name")
        if [[ ! $image =~ @sha256:[0-9a-f]{64}$ ]]; then
            warn "$name=$image is not pinned"
            unpinned=$((unpinned + 1))
        fi
    done
    [ "$unpinned" -eq 0 ] || die "$unpinned of ${#names[@]} base images are not pinned: scripts/pin_images.sh"
    say "all base images are pinned"
}

# Sets `digest`. The digest of a pull is that of the tag, for all architectures; a local image may have several.
resolve_digest() {
    local output
    if ! output=$(docker pull "$1" 2>&1); then
        warn "${output##*$'\n'}"
        die "$1 cannot be pulled: $file was not changed"
    fi
    digest=$(sed -n 's/^Digest: \(sha256:[0-9a-f]\{64\}\)$/\1/p' <<<"$output")
    [ -n "$digest" ] || die "docker pull $1 told no digest: $file was not changed"
}

pin_all() {
    local name image pinned script='' digest
    for name in "${names[@]}"; do
        image=$(image_of "$name")
        # A name without a tag would stand for `latest`, which is no version.
        [[ ${image%@*} =~ :[^/]+$ ]] || die "$name=$image has no tag: name a version"
        say "$name: pulling ${image%@*}"
        resolve_digest "${image%@*}"
        pinned=${image%@*}@$digest
        if [ "$pinned" != "$image" ]; then
            say "$name=$pinned"
            script+="s|^$name=.*|$name=$pinned|;"
        fi
    done
    if [ -z "$script" ]; then
        say "nothing has changed: $file"
        return
    fi
    sed --in-place "$script" "$file"
    say "written: $file"
}

if [ -n "$check" ]; then
    check_all
else
    need_docker
    pin_all
fi
