#!/usr/bin/env bash
# Builds the packages of `weir`, and checks each where nothing else is installed; --help describes them.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
cd "$root"

usage() {
    cat <<'USAGE'
scripts/package.sh [--profile NAME] [--check-only]

Builds into dist/, all with the same statically linked program:

  weir-VERSION-TARGET.tar.gz     the program, man pages, shell completions, licences
  weir_VERSION_ARCH.deb          a Debian package
  weir_cli-VERSION-….whl         a Python wheel: pip install puts `weir` on the path

Then it installs each, in an empty Debian container or a new virtual environment, and runs a small task there.

  --profile NAME  the profile of cargo: release (default), or dev for a quick trial
  --check-only    only checks the packages that are in dist/
USAGE
}

profile=release check_only=''
while [ $# -gt 0 ]; do
    case $1 in
        --profile)
            [ $# -ge 2 ] || die "--profile needs a name"
            profile=$2
            shift
            ;;
        --check-only) check_only=yes ;;
        -h | --help)
            usage
            exit
            ;;
        *) die "unknown argument $1; --help lists the options" ;;
    esac
    shift
done

version=$(workspace_key version)
dist=$root/dist
work=$(mktemp -d)
network=''
clean_up() {
    if [ -n "$network" ]; then
        docker rm --force "$network" >/dev/null 2>&1 || :
        docker network rm "$network" >/dev/null 2>&1 || :
    fi
    rm -rf "$work"
}
trap clean_up EXIT

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

# The program --------------------------------------------------------------------------------------

# Only the last link differs from an ordinary build, so nothing but the program is built a second time.
# Relocations are packed: 4 MB less. A program that is not static would need a C library that knows them.
static=(-C target-feature=+crt-static -C strip=symbols -C "link-arg=-Wl,--pack-dyn-relocs=relr")

build_program() {
    step "building the program ($profile)"
    local folder=$profile target_folder
    [ "$profile" != dev ] || folder=debug
    target_folder=$(cargo metadata --locked --no-deps --format-version 1 |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    cargo rustc --locked --profile "$profile" --package weir --bin weir -- "${static[@]}"
    install -m 755 "$target_folder/$folder/weir" "$program"
    [[ $(ldd "$program") == *'statically linked'* ]] || die "the program is not statically linked"
    # The ordinary program is still in the target folder: it gets its name back.
    cargo build --locked --quiet --profile "$profile" --package weir --bin weir
    say "$(stat --format %s "$program") bytes"
}

# What belongs to the program, in the folders of a Debian system.
build_files() {
    mkdir -p "$share"/{doc/weir,man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
    install -m 644 LICENSE README.md "$share/doc/weir"
    python3 packaging/third_party.py "$rust_target" >"$share/doc/weir/THIRD-PARTY"
    "$program" man "$share/man/man1"
    "$program" completions bash >"$share/bash-completion/completions/weir"
    "$program" completions zsh >"$share/zsh/vendor-completions/_weir"
    "$program" completions fish >"$share/fish/vendor_completions.d/weir.fish"
}

# The packages -------------------------------------------------------------------------------------

# bin/ and share/, to be unpacked into a prefix such as /usr/local.
build_tarball() {
    step "tarball"
    local name=weir-$version-$rust_target
    local folder=$work/$name
    install -D -m 755 "$program" "$folder/bin/weir"
    cp -r "$share" "$folder/share"
    # Outside of /usr zsh looks here.
    mv "$folder/share/zsh/vendor-completions" "$folder/share/zsh/site-functions"
    tar --directory "$work" --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" \
        --mode=u+rw,go-w,a+rX "$name" | gzip --no-name >"$dist/$name.tar.gz"
}

build_deb() {
    step "Debian package"
    local folder=$work/deb architecture size
    architecture=$(dpkg --print-architecture)
    install -D -m 755 "$program" "$folder/usr/bin/weir"
    cp -r "$share" "$folder/usr/share"
    rm "$folder/usr/share/doc/weir/LICENSE"
    install -m 644 packaging/copyright "$folder/usr/share/doc/weir/copyright"
    find "$folder/usr/share" -type f \( -name THIRD-PARTY -o -path '*/man/*' \) -exec gzip --no-name -9 {} +
    size=$(du --summarize --apparent-size --block-size=1K "$folder/usr" | cut --fields=1)
    mkdir "$folder/DEBIAN"
    sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" packaging/control \
        >"$folder/DEBIAN/control"
    chmod -R u+rw,go-w,a+rX "$folder"
    SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group -Zxz --build "$folder" \
        "$dist/weir_${version}_$architecture.deb" >/dev/null
}

# Links with the flags of the program above: cargo has it already.
build_wheel() {
    step "Python wheel"
    python_environment package scripts/requirements-package.txt
    "$(tools_folder)/package/bin/maturin" build --quiet --locked --profile "$profile" --manifest-path weir/Cargo.toml \
        --out "$dist" -- "${static[@]}"
}

build_packages() {
    rust_target=$(rustc --version --verbose | sed -n 's/^host: //p')
    program=$work/weir share=$work/share
    # The time of all files: packages of one commit are the same. Not exported: cargo would compile all C libraries anew.
    epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    rm -rf "$dist"
    mkdir "$dist"
    build_program
    build_files
    build_tarball
    build_deb
    build_wheel
}

# The checks ---------------------------------------------------------------------------------------

# `in_container COMMAND [HOST…]`: in an empty Debian, with dist/ and the check mounted, and a neighbour on its network.
in_container() {
    local command=$1
    shift
    docker run --rm --pull never --network "$network" --add-host listed.test:127.0.0.1 \
        --volume "$dist:/dist:ro" --volume "$root/packaging/check.sh:/check.sh:ro" "$DEBIAN_IMAGE" \
        sh -euc "$command; exec /check.sh $version $*"
}

check_in_containers() {
    load_defaults
    need_docker
    need_image DEBIAN_IMAGE
    network=weir-package-$$
    docker network create "$network" >/dev/null
    docker run --detach --pull never --name "$network" --network "$network" --network-alias neighbour "$DEBIAN_IMAGE" \
        sleep infinity >/dev/null
    step "checking the tarball in $DEBIAN_IMAGE"
    in_container 'tar --directory /usr/local --extract --gzip --strip-components 1 --file /dist/weir-*.tar.gz' \
        listed.test neighbour
    step "checking the Debian package in $DEBIAN_IMAGE"
    in_container 'dpkg --install /dist/weir_*.deb >/dev/null'
}

check_wheel() {
    step "checking the wheel in a new virtual environment"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-index "$dist"/weir_cli-*.whl
    PATH=$work/venv/bin:$PATH packaging/check.sh "$version"
}

[ -n "$check_only" ] || build_packages
check_in_containers
check_wheel
step "done"
(cd "$dist" && sha256sum -- *)
