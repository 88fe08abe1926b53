#!/usr/bin/env bash
# Backs up everything that a new machine needs, while the sections run, and restores it. See docs/OPERATIONS.md.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"
# shellcheck source=scripts/lib/volumes.sh
. "$root/scripts/lib/volumes.sh"

usage() {
    cat <<'USAGE'
scripts/backup.sh create FOLDER     writes a new folder FOLDER/weir-DATE: databases, volumes, secrets, settings
scripts/backup.sh verify BACKUP     checks that the folder of a backup is complete and unchanged
scripts/backup.sh restore BACKUP    restores it on a machine without data of the sections

A backup has passwords and personal data: only its owner can read it. The exit code is 0 only if every part succeeded.
USAGE
}

databases=(section2 section4 claims)

# Containers that are running and write into volumes: they are paused while these are copied.
writers() {
    docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter status=running \
        --format '{{.Names}} {{.Label "com.docker.compose.service"}}' |
        sed -n -E '/ section2_/d; /_postgresql$/d; s/ '"$any_section"'.*//p'
}

paused=()
resume() {
    [ ${#paused[@]} -eq 0 ] || docker unpause "${paused[@]}" >/dev/null
    paused=()
}

failed=''
# A part that fails does not stop the others. `part WHAT COMMAND…`
part() {
    local what=$1
    shift
    # In the background, because bash ignores failures inside of a condition.
    ("$@") &
    if wait $!; then
        say "  $what"
    else
        warn "failed: $what"
        failed=yes
    fi
}

dump_database() {
    local server=$1 file=$2
    # A paused load may have locked a table.
    docker exec "$server" pg_dump --username postgres --format custom --lock-wait-timeout 60s my_database >"$file"
    # Its table of contents is at the beginning, but the data is read, too.
    docker exec --interactive "$server" pg_restore --list <"$file" >/dev/null
    docker exec --interactive "$server" pg_restore --file /dev/null <"$file"
}

# Users and their passwords belong to the server, not to a database.
dump_roles() {
    docker exec "$1" pg_dumpall --username postgres --roles-only >"$2"
    grep --quiet '^-- PostgreSQL database cluster dump complete' "$2"
}

copy_secrets() {
    tar --create --file "$1" --directory "$(secrets_folder)" .
    tar --list --file "$1" >/dev/null
}

create() {
    local base=$1 section server volume name names=() backup target
    [ -d "$base" ] || die "$base does not exist: create the folder first"
    need_docker
    umask 077
    name=weir-$(date --utc +%Y-%m-%dT%H-%M-%SZ)
    target=$base/$name backup=$base/$name.part
    mkdir "$backup"
    trap 'resume; rm -rf "$backup"' EXIT
    trap 'exit 130' INT TERM
    say "writing $target"
    # Volumes and databases of one moment: a run that is in progress is rolled back or forward after a restore.
    mapfile -t names < <(writers)
    if [ ${#names[@]} -gt 0 ]; then
        paused=("${names[@]}")
        docker pause "${names[@]}" >/dev/null
    fi
    for section in "${databases[@]}"; do
        if is_running "${section}_postgresql"; then
            server=$(container_of "${section}_postgresql")
            part "database of $section" dump_database "$server" "$backup/$section.dump"
            part "roles of $section" dump_roles "$server" "$backup/$section.roles.sql"
        fi
    done
    for volume in $(docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_$any_section"); do
        section=${volume#"${COMPOSE_PROJECT_NAME}_"}
        if [[ $section == *_data ]] && is_running "${section%_data}_postgresql"; then
            continue
        fi
        part "volume $volume" backup_volume "$volume" "$backup/$section.tar"
    done
    resume
    [ ! -d "$(secrets_folder)" ] || part secrets copy_secrets "$backup/secrets.tar"
    [ ! -e "$(settings_file)" ] || part settings cp "$(settings_file)" "$backup/settings.env"
    [ -z "$failed" ] || die "the backup failed and was removed; former backups are unchanged"
    [ -n "$(ls "$backup")" ] || die "there is nothing to back up: no volume, no secret"
    git -C "$root" rev-parse HEAD >"$backup/commit" 2>/dev/null || :
    (cd "$backup" && sha256sum -- *) >"$base/$name.sums"
    mv "$base/$name.sums" "$backup/SHA256SUMS"
    sync --file-system "$backup"
    mv "$backup" "$target"
    trap - EXIT
    say "complete and verified: $target ($(du --summarize --human-readable "$target" | cut --fields=1))"
}

verify() {
    [ -f "$1/SHA256SUMS" ] || die "$1 is not a complete backup: it has no SHA256SUMS"
    (cd "$1" && sha256sum --check --quiet SHA256SUMS) || die "$1 was damaged or changed after it was written"
}

# Creates the roles that are missing; all get their rights and passwords.
restore_roles() {
    local server=$1 file=$2
    # shellcheck disable=SC2016 # for PostgreSQL
    sed -E 's/^CREATE ROLE (.*);$/do $do$ begin create role \1; exception when duplicate_object then null; end $do$;/' \
        "$file" | docker exec --interactive "$server" psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --username postgres --dbname template1 >/dev/null
}

restore_database() {
    docker exec --interactive "$1" pg_restore --username postgres --dbname my_database --clean --if-exists \
        --single-transaction <"$2"
}


restore() {
    local backup=$1 server file left folder
    verify "$backup"
    need_docker
    set_project
    left=$(docker ps --all --format '{{.Names}}' --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | paste -sd ' ')
    [ -z "$left" ] || die "containers exist: $left. Nothing was changed; first: scripts/all_runner.sh stop"
    left=$(docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_$any_section" | paste -sd ' ')
    if [ -n "$left" ]; then
        warn "data exists, which a restore does not replace: $left"
        die "Nothing was changed. Back it up, then scripts/all_runner.sh stop --purge"
    fi
    if [ -e "$backup/settings.env" ] && [ ! -e "$(settings_file)" ]; then
        write_private "$(settings_file)" <"$backup/settings.env"
    fi
    load_defaults
    folder=$(secrets_folder)
    if [ -e "$backup/secrets.tar" ]; then
        if [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
            left=$folder.before-$(date --utc +%Y-%m-%dT%H-%M-%SZ)
            mv "$folder" "$left"
            say "the former secrets are in $left"
        fi
        (umask 077 && mkdir -p "$folder")
        tar --extract --preserve-permissions --file "$backup/secrets.tar" --directory "$folder"
    fi
    for file in "$backup"/{section,claims,credit}*.tar; do
        [ -e "$file" ] || continue
        restore_volume "${COMPOSE_PROJECT_NAME}_$(basename "$file" .tar)" "$file"
        say "  volume ${COMPOSE_PROJECT_NAME}_$(basename "$file" .tar)"
    done
    prepare_compose
    for section in "${databases[@]}"; do
        [ -e "$backup/$section.dump" ] || continue
        need_image POSTGRES_IMAGE
        profile=$section services=("${section}_postgresql") server=$(container_of "${section}_postgresql")
        up
        wait_until_well
        restore_roles "$server" "$backup/$section.roles.sql"
        restore_database "$server" "$backup/$section.dump"
        "$root/scripts/${section}_runner.sh" stop >/dev/null
        say "  database of $section"
    done
    say "restored. Now start the sections: scripts/all_runner.sh start, or each on its own"
}

wrong_usage() {
    usage >&2
    exit 2
}

[ $# -eq 2 ] || [ "${1:-}" = --help ] || wrong_usage
case ${1:-} in
    create)
        load_defaults
        create "$2"
        ;;
    verify)
        verify "$2"
        say "$2 is complete and unchanged"
        ;;
    restore) restore "$2" ;;
    -h | --help) usage ;;
    *) wrong_usage ;;
esac
