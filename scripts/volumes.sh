#!/usr/bin/env bash
# Backs up and restores a volume as a tar file, while no running container uses it. scripts/backup.sh backs up all.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
# shellcheck source=scripts/lib/volumes.sh
. "$root/scripts/lib/volumes.sh"

usage() {
    cat <<'USAGE'
scripts/volumes.sh list                     the volumes of all sections
scripts/volumes.sh backup VOLUME [FILE]     its content as a tar file, by default VOLUME-DATE.tar; no file is replaced
scripts/volumes.sh restore VOLUME FILE      replaces its content with that of the tar file; creates it if needed
USAGE
}

wrong_usage() {
    warn "$1"
    usage >&2
    exit 2
}

load_defaults
case ${1:-} in
    list)
        need_docker
        docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_$any_section"
        ;;
    backup)
        case $# in
            2) file=$2-$(date --utc +%Y-%m-%dT%H-%M-%SZ).tar ;;
            3) file=$3 ;;
            *) wrong_usage "backup needs the name of a volume, and of a file that does not exist" ;;
        esac
        need_docker
        need_idle "$2"
        backup_volume "$2" "$file"
        say "$2 was backed up to $file"
        ;;
    restore)
        [ $# -eq 3 ] || wrong_usage "restore needs the name of a volume and of a tar file"
        need_docker
        need_idle "$2"
        restore_volume "$2" "$3"
        say "$2 was restored"
        ;;
    -h | --help) usage ;;
    *) wrong_usage "unknown command: ${1:-none}" ;;
esac
