#!/usr/bin/env bash
# COVID-19 cases: loaded into PostgreSQL at start and daily, shown by Grafana.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section4 profile=section4 services=(section4_postgresql section4_loader section4_reader) images=(section4) verbs=(run open)
start_options=([--offline]=SECTION4_OFFLINE=yes [--no-offline]=SECTION4_OFFLINE=no)
add_tls_options

usage_start() {
    say "             --offline   cases from a mock API instead of the internet; --no-offline: from the internet again"
}

before_start() { prepare_section4; }

after_start() {
    say "my_database listens on $WEIR_BIND:$SECTION4_POSTGRES_PORT; user covid, password in $(secrets_folder)/section4_postgres_password"
    if is_running section4_grafana; then
        say "the dashboard: http://localhost:$SECTION4_GRAFANA_PORT, user admin, password in $(secrets_folder)/section4_grafana_password"
    fi
    say "terminal chart: docker exec $(container_of section4_loader) section4 show"
}

usage_run() { say "loads now, with the arguments of \`section4 load\`; by default those of the daily load"; }
verb_run() {
    need_running section4_loader
    local container load
    container=$(container_of section4_loader)
    if [ $# -eq 0 ]; then
        # The arguments of the container, without the program name.
        mapfile -t load < <(docker inspect --format '{{range .Config.Cmd}}{{println .}}{{end}}' "$container" | sed 1d | sed '/^$/d')
        set -- "${load[@]}"
    fi
    docker exec "$container" section4 load "$@"
}

usage_open() { say "opens the dashboard"; }
verb_open() {
    need_running section4_grafana
    open_address "http://localhost:$SECTION4_GRAFANA_PORT"
}

runner "$@"
