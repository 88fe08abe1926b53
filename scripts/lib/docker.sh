# shellcheck shell=bash
# Common functions of the scripts that use Docker. To be sourced.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Reads docker/.env like Compose: environment variables take precedence.
load_defaults() {
    local name value
    while IFS='=' read -r name value; do
        case $name in '' | '#'*) continue ;; esac
        if [ -z "${!name+x}" ]; then
            export "$name=$value"
        fi
    done <"$root/docker/.env"
}

# Sets `docker_version` to the version of the daemon.
need_docker() {
    if ! command -v docker >/dev/null; then
        die "docker is missing. Install Docker Engine: https://docs.docker.com/engine/install/"
    fi
    if ! docker_version=$(docker version --format '{{.Server.Version}}' 2>&1); then
        warn "Docker's daemon does not answer: ${docker_version##*$'\n'}"
        die "Start it (systemctl start docker), or let this user talk to it (usermod --append --groups docker USER)."
    fi
}

# Prefers the plugin to the older program; the scripts use only features of both.
need_compose() {
    need_docker
    if docker compose version >/dev/null 2>&1; then
        compose_command=(docker compose)
    elif command -v docker-compose >/dev/null; then
        compose_command=(docker-compose)
        # It reads a field that such a daemon no longer returns: KeyError 'ContainerConfig', in the middle of a start.
        if [[ $(docker-compose version --short 2>/dev/null) == 1.* && ${docker_version%%.*} -ge 25 ]]; then
            die "docker-compose 1.29 cannot replace containers of Docker $docker_version: install the Compose plugin."
        fi
    else
        warn "neither the Compose plugin (docker compose) nor docker-compose is installed."
        die "On Debian or Ubuntu: apt-get install docker-compose-plugin, or docker-compose (1.29 or newer)."
    fi
}

compose() {
    "${compose_command[@]}" --file "$root/docker/compose.yaml" --project-directory "$root/docker" "$@"
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# The local name of the stand-in for an image that cannot be pulled, built by scripts/stand_in_images.sh.
stand_in_of() { printf 'weir-stand-in/%s' "$1"; }

# Sets the variable $1, which has an image name, to the image to use: the image itself, pulled if needed, or its
# stand-in.
resolve_image() {
    local -n image=$1
    local stand_in
    stand_in=$(stand_in_of "$image")
    if has_image "$image"; then
        return
    fi
    if ! has_image "$stand_in"; then
        say "pulling $image"
        if docker pull --quiet "$image"; then
            return
        fi
        return 1
    fi
    warn "$image is not available: using its stand-in $stand_in (to get the real one: docker pull $image)"
    image=$stand_in
}

# Like resolve_image, but ends the script if neither is available.
need_image() {
    if ! resolve_image "$1"; then
        warn "${!1} cannot be pulled, and there is no stand-in for it."
        local option=''
        [ "$1" != RUST_IMAGE ] || option=' --rust'
        die "To build a stand-in on a Debian machine, run as root: scripts/stand_in_images.sh$option"
    fi
}

# A path for compose.yaml, resolved relative to docker/.
from_docker() {
    case $1 in
        /*) printf '%s' "$1" ;;
        *) printf '%s' "$root/docker/${1#./}" ;;
    esac
}

secrets_folder() { from_docker "$WEIR_SECRETS"; }

# Names of the containers that use the volume $1; with --all, including stopped ones.
users_of() { docker ps "${@:2}" --filter "volume=$1" --format '{{.Names}}' | paste -sd ' '; }

# Passwords are random and created once. Compose mounts the files unchanged, and services run as different users: so the
# files are readable by all, but only the owner can enter their folder.
make_secrets() {
    local folder name
    folder=$(secrets_folder)
    # A password chosen by the user may have been stored with other file modes.
    mkdir -p "$folder"
    chmod 700 "$folder"
    for name in section2_postgres_password section4_postgres_password section4_reader_password section4_grafana_password; do
        if [ ! -s "$folder/$name" ]; then
            od --address-radix=n --format=x1 --read-bytes=24 /dev/urandom | tr -d ' \n' >"$folder/$name"
        fi
        chmod a+r "$folder/$name"
    done
}
