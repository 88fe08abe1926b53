#!/usr/bin/env bash
# The commerce database: PostgreSQL with the schema.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section2 profile=section2 services=(section2_postgresql section2_loader) images=(section2) verbs=(run psql)

start_options=([--members]=SECTION2_FOLLOW=yes [--no-members]=SECTION2_FOLLOW=no [--demo]=SECTION2_DEMO=yes)
add_tls_options

usage_start() {
    say "             --demo      fill an empty database with generated sales, once (not remembered)"
    say "             --members   also import the members that section 1 publishes; --no-members: no longer"
}

before_start() {
    case $SECTION2_FOLLOW in
        yes) services+=(section2_members) ;;
        no)
            # all_runner.sh may have started it: only the option ends it.
            [ -z "${given[SECTION2_FOLLOW]+x}" ] ||
                docker rm --force --volumes "$(container_of section2_members)" >/dev/null 2>&1 || :
            ;;
        *) die "SECTION2_FOLLOW is $SECTION2_FOLLOW: it must be yes or no" ;;
    esac
    prepare_section2
}

after_start() {
    say "my_database listens on $WEIR_BIND:$SECTION2_POSTGRES_PORT; user weir, password in $(secrets_folder)/section2_postgres_password"
    say "run a query:   scripts/section2_runner.sh run query top-members"
}

after_stop() {
    if [[ " $* " == *' section2_members '* && $SECTION2_FOLLOW = no ]]; then
        say "section 1's members are no longer imported: resume with start --members"
    fi
}

usage_run() { say "runs \`section2\` with arguments such as \`query top-items\`; by default migrates"; }
verb_run() {
    prepare_compose
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
