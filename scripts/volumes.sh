#!/usr/bin/env bash
# Backs up and restores a volume as a tar file, while no running container uses it. For databases in use see
# docs/OPERATIONS.md.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"

usage() {
    cat <<'USAGE'
scripts/volumes.sh list                    the volumes of all sections
scripts/volumes.sh backup VOLUME >FILE     its content as a tar file
scripts/volumes.sh restore VOLUME <FILE    replaces its content with that of the tar file; creates it if needed
USAGE
}

need_idle() {
    local users
    users=$(users_of "$1")
    [ -z "$users" ] || die "$1 is in use by $users: stop the section first"
}

# Every section image has tar. Owners are stored as numeric ids.
in_volume() {
    local volume=$1 mode=$2
    shift 2
    has_image "weir/base:$WEIR_TAG" || die "the image weir/base:$WEIR_TAG does not exist: scripts/build_images.sh"
    docker run --rm --pull never --interactive --network none --read-only --user 0 --volume "$volume:/volume:$mode" \
        --entrypoint "$1" "weir/base:$WEIR_TAG" "${@:2}"
}

load_defaults
case ${1:-} in
    list)
        need_docker
        docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_section"
        ;;
    backup)
        [ $# -eq 2 ] || die "backup needs the name of one volume"
        need_docker
        docker volume inspect "$2" >/dev/null 2>&1 || die "volume $2 does not exist: scripts/volumes.sh list"
        need_idle "$2"
        in_volume "$2" ro tar --directory /volume --create --numeric-owner .
        ;;
    restore)
        [ $# -eq 2 ] || die "restore needs the name of one volume"
        need_docker
        need_idle "$2"
        section=${2#"${COMPOSE_PROJECT_NAME}_"}
        # Compose recognises its volumes by these labels.
        docker volume inspect "$2" >/dev/null 2>&1 ||
            docker volume create --label "com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
                --label "com.docker.compose.volume=$section" "$2" >/dev/null
        # Unpacked into a subfolder first and then moved: a truncated tar file changes nothing.
        # shellcheck disable=SC2016 # for the shell in the container
        in_volume "$2" rw bash -euc '
            cd /volume
            mkdir .restoring
            trap "rm -rf /volume/.restoring" EXIT
            tar --directory .restoring --extract --numeric-owner --same-permissions
            find . -mindepth 1 -maxdepth 1 ! -name .restoring -exec rm -rf {} +
            find .restoring -mindepth 1 -maxdepth 1 -exec mv -t . {} +
            chown --reference=.restoring .
            chmod --reference=.restoring .'
        say "$2 was restored"
        ;;
    -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
