#!/usr/bin/env bash
# The commerce database: PostgreSQL with the schema, filled.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section2 profile=section2 services=(section2_postgresql section2_loader) images=(section2) verbs=(run psql)

started_options=' [--members]   (--members: also import members that section 1 publishes)'

before_start() {
    case ${1:-} in
        '') ;;
        --members) services+=(section2_members) ;;
        *) die "unknown argument of start: $1" ;;
    esac
    need_port section2_postgresql SECTION2_POSTGRES_PORT
    need_image POSTGRES_IMAGE
}

after_start() {
    say "my_database listens on $WEIR_BIND:$SECTION2_POSTGRES_PORT; user weir, password in $(secrets_folder)/section2_postgres_password"
    say "run a query:   scripts/section2_runner.sh run query top-members"
}

after_stop() {
    if [[ " $* " == *' section2_members '* ]]; then
        say "section 1's members are no longer imported: resume with start --members"
    fi
}

usage_run() { say "runs \`section2\` with arguments such as \`query top-items\`; by default migrates and fills"; }
verb_run() {
    need_compose
    resolve_image POSTGRES_IMAGE 2>/dev/null
    need_running section2_postgresql
    if [ $# -eq 0 ]; then
        set -- section2-fill
    else
        set -- section2 "$@"
    fi
    run_once section2_loader "$@"
}

usage_psql() { say "runs psql in the database, with the arguments of psql"; }
verb_psql() {
    need_running section2_postgresql
    local terminal=()
    if [ -t 0 ] && [ -t 1 ]; then
        terminal=(--tty)
    fi
    docker exec --interactive "${terminal[@]}" "$(container_of section2_postgresql)" \
        psql --username weir --dbname my_database "$@"
}

runner "$@"
