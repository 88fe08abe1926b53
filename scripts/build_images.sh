#!/usr/bin/env bash
# Builds the images of the sections: compiles the workspace inside Docker, or packages programs that are already
# compiled.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"

usage() {
    cat <<'USAGE'
scripts/build_images.sh [--from-host DIR] [--only-needed] [--renew] [SECTION…]

Builds the image of each SECTION (section1 section2 section4 section5 claims credit; by default all) and prints the sizes.

  --from-host DIR  package the programs in DIR, such as target/release, instead of compiling; they must be built
                   for a Linux with the C library of the base image or an older one. Needs cargo and Python, which
                   list the libraries of the programs
  --only-needed    compile only the given sections: faster, but building another section compiles again
  --renew          take Debian's newest packages, for security updates, instead of those of an earlier build
USAGE
}

all_sections=(section1 section2 section4 section5 claims credit)
from_host='' only_needed='' renew=() sections=()
while [ $# -gt 0 ]; do
    case $1 in
        --from-host)
            [ $# -ge 2 ] || die "--from-host needs a folder"
            from_host=$2
            shift
            ;;
        --only-needed) only_needed=yes ;;
        --renew) renew=(--no-cache) ;;
        -h | --help)
            usage
            exit
            ;;
        *)
            [[ " ${all_sections[*]} " == *" $1 "* ]] || die "unknown section $1: choose from ${all_sections[*]}; see --help"
            sections+=("$1")
            ;;
    esac
    shift
done
[ ${#sections[@]} -gt 0 ] || sections=("${all_sections[@]}")

# The package whose program an image has.
package_of() {
    case $1 in
        claims | credit) echo weir ;;
        *) echo "$1" ;;
    esac
}

# Those of all sections that are built, each once.
packages() {
    local section
    for section in "${sections[@]}"; do package_of "$section"; done | sort --unique
}

load_defaults
need_docker
version=$(workspace_key version)

# The commit that is packaged. Of programs from the host only the state of the sources is known.
revision() {
    local commit
    if ! commit=$(git -C "$root" rev-parse HEAD 2>/dev/null); then
        echo unknown
    elif [ -z "$(git -C "$root" status --porcelain)" ]; then
        echo "$commit"
    else
        echo "$commit-dirty"
    fi
}

# Shows the builder's output only on failure, because the classic builder prints a lot.
build() {
    local log
    log=$(mktemp)
    if ! docker build --force-rm "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "docker build failed: $*"
    fi
    rm -f "$log"
}

# The programs are packaged as an image, so that a section's Dockerfile is the same in both cases.
package_host_programs() {
    local folder package needed tool
    for tool in cargo python3; do
        command -v "$tool" >/dev/null || die "$tool is missing: --from-host lists the libraries of the programs with it"
    done
    folder=$(mktemp -d)
    mkdir "$folder/out"
    mapfile -t needed < <(packages)
    for package in "${needed[@]}"; do
        [ -x "$from_host/$package" ] || die "$from_host/$package does not exist: cargo build -p $package"
        # Debug information is more than half of a debug build and useless in a container.
        strip --strip-all -o "$folder/out/$package" "$from_host/$package" 2>/dev/null ||
            cp "$from_host/$package" "$folder/out/$package"
    done
    (cd "$root" && packaging/documents.sh "$folder/share" "${needed[@]}")
    tar --directory "$folder" --create --owner=0 --group=0 --numeric-owner --mode=a+rX out share |
        docker import - "$build_image" >/dev/null
    rm -rf "$folder"
}

compile() {
    need_image RUST_IMAGE
    say "compiling the workspace: the first build takes a while; later builds are incremental"
    local packages='--workspace --exclude weir-cluster'
    if [ -n "$only_needed" ]; then
        packages=$(packages | sed 's/^/--package /' | paste -sd ' ')
    fi
    docker build --force-rm --file "$root/docker/build.Dockerfile" --build-arg "RUST_IMAGE=$RUST_IMAGE" \
        --build-arg "PROFILE=${WEIR_PROFILE:-release}" --build-arg "PACKAGES=$packages" --tag "$build_image" "$root"
}

# The digest of the Debian image, where it came from a registry.
base_digest() {
    local tagged=${DEBIAN_IMAGE%@*}
    if [ "$tagged" != "$DEBIAN_IMAGE" ]; then
        printf '%s' "${DEBIAN_IMAGE#*@}"
    else
        # It may be in other registries, too.
        docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$tagged" |
            sed -n "s|^${tagged%:*}@||p" | head -n 1
    fi
}

# Sets `tags` for the image $1. `latest` moves on; the images of a version keep its name.
set_tags() {
    tags=(--tag "weir/$1:$WEIR_TAG")
    [ "$WEIR_TAG" != latest ] || tags+=(--tag "weir/$1:$version")
}

print_sizes() {
    local name
    printf '\n%-30s %8s\n' image size
    for name in base "${sections[@]}"; do
        printf '%-30s %8s\n' "weir/$name:$WEIR_TAG" "$(docker image ls --format '{{.Size}}' "weir/$name:$WEIR_TAG")"
    done
}

build_image=weir/build:$WEIR_TAG
base_image=weir/base:$WEIR_TAG
need_image DEBIAN_IMAGE
if [ -n "$from_host" ]; then
    package_host_programs
else
    compile
fi
# The time of the build is not among them: an image that has not changed stays the same.
label=org.opencontainers.image
labels=(--label "$label.version=$version" --label "$label.revision=$(revision)"
    --label "$label.base.name=${DEBIAN_IMAGE%@*}")
digest=$(base_digest)
[ -z "$digest" ] || labels+=(--label "$label.base.digest=$digest")
set_tags base
build "${renew[@]}" --file "$root/docker/base.Dockerfile" --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE" "${labels[@]}" \
    "${tags[@]}" "$root"
for section in "${sections[@]}"; do
    set_tags "$section"
    build --file "$root/docker/$section/Dockerfile" --build-arg "BASE_IMAGE=$base_image" \
        --build-arg "BUILD_IMAGE=$build_image" "${labels[@]}" "${tags[@]}" "$root"
done
# The section images contain what they need of it.
if [ -n "$from_host" ]; then
    docker image rm --no-prune "$build_image" >/dev/null
fi
print_sizes
