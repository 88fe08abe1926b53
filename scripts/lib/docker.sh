# shellcheck shell=bash
# What every script that talks to Docker shares. To be sourced.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# docker/.env is read here as Compose reads it: what the environment has goes before it.
load_defaults() {
    local name value
    while IFS='=' read -r name value; do
        case $name in '' | '#'*) continue ;; esac
        if [ -z "${!name+x}" ]; then
            export "$name=$value"
        fi
    done <"$root/docker/.env"
}

# Puts the version of the daemon into `docker_version`.
need_docker() {
    if ! command -v docker >/dev/null; then
        die "docker is missing. Install Docker Engine: https://docs.docker.com/engine/install/"
    fi
    if ! docker_version=$(docker version --format '{{.Server.Version}}' 2>&1); then
        warn "Docker's daemon does not answer: ${docker_version##*$'\n'}"
        die "Start it (systemctl start docker), or let this user talk to it (usermod --append --groups docker USER)."
    fi
}

# The plugin goes before the older program; the scripts use nothing that one of them lacks.
need_compose() {
    need_docker
    if docker compose version >/dev/null 2>&1; then
        compose_command=(docker compose)
    elif command -v docker-compose >/dev/null; then
        compose_command=(docker-compose)
        # It asks such a daemon for what that no longer tells: KeyError 'ContainerConfig', in the middle of a start.
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

# The local name of what stands in for an image that cannot be pulled: scripts/stand_in_images.sh makes it.
stand_in_of() { printf 'weir-stand-in/%s' "$1"; }

# Puts into the variable $1 what is to be used for the image that it names: the image, pulled if need be, or its stand-in.
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
    warn "$image is not here: its stand-in $stand_in is used (to have the real one: docker pull $image)"
    image=$stand_in
}

# As resolve_image, and ends the script if there is neither.
need_image() {
    if ! resolve_image "$1"; then
        warn "${!1} can neither be pulled nor is there a stand-in for it."
        local option=''
        [ "$1" != RUST_IMAGE ] || option=' --rust'
        die "On a Debian machine without a registry, as root: scripts/stand_in_images.sh$option"
    fi
}

# A path as compose.yaml takes it: relative to docker/.
from_docker() {
    case $1 in
        /*) printf '%s' "$1" ;;
        *) printf '%s' "$root/docker/${1#./}" ;;
    esac
}

secrets_folder() { from_docker "$WEIR_SECRETS"; }

# Names of the containers that use the volume $1; with --all, also of those that do not run.
users_of() { docker ps "${@:2}" --filter "volume=$1" --format '{{.Names}}' | paste -sd ' '; }

# Passwords are random, and made once. Compose mounts the files as they are, and services are users of their own: that is why
# all may read the files, and nobody but the owner may enter their folder.
make_secrets() {
    local folder name
    folder=$(secrets_folder)
    # Whoever chose a password has made folder and file with rights of his own.
    mkdir -p "$folder"
    chmod 700 "$folder"
    for name in section2_postgres_password section4_postgres_password section4_reader_password section4_grafana_password; do
        if [ ! -s "$folder/$name" ]; then
            od --address-radix=n --format=x1 --read-bytes=24 /dev/urandom | tr -d ' \n' >"$folder/$name"
        fi
        chmod a+r "$folder/$name"
    done
}
