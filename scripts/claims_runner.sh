#!/usr/bin/env bash
# Claims of a health insurer: from MariaDB into a warehouse of PostgreSQL at start and hourly, shown by Grafana.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=claims profile=claims services=(claims_mariadb) images=(claims) verbs=(run load open)
start_options=([--sample]=CLAIMS_SAMPLE=)
add_tls_options

usage_start() {
    say "             --sample N  fill an empty source with N made-up treatments, and their claims, once (not remembered)"
}

before_start() {
    prepare_claims
    if ! source_is_filled; then
        die "the source is empty: scripts/claims_runner.sh load FOLDER, or start --sample N; then start"
    fi
    add_claims_services
}

after_start() {
    say "my_database listens on $WEIR_BIND:$CLAIMS_POSTGRES_PORT; user claims, password in $(secrets_folder)/claims_postgres_password"
    if is_running claims_grafana; then
        say "the dashboard: http://localhost:$CLAIMS_GRAFANA_PORT, user admin, password in $(secrets_folder)/claims_grafana_password"
    fi
    say "run now:       scripts/claims_runner.sh run"
}

usage_run() { say "loads now, with the arguments of \`weir run\`"; }
verb_run() {
    need_running claims_loader
    docker exec "$(container_of claims_loader)" claims run "$@"
}

usage_load() { say "[--replace] FOLDER fills the source with the four files in FOLDER; --sample N with made-up ones"; }
verb_load() {
    [ $# -gt 0 ] || die "load needs a folder, or --sample N"
    need_compose
    need_running claims_mariadb
    need_image MARIADB_IMAGE
    fill_source "$@"
}

usage_open() { say "opens the dashboard"; }
verb_open() {
    need_running claims_grafana
    open_address "http://localhost:$CLAIMS_GRAFANA_PORT"
}

runner "$@"
