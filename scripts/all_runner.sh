#!/usr/bin/env bash
# All sections together; the members accepted by section 1 are imported into the commerce database of section 2. `start` leaves
# credit out, whose bucket somebody has to fill every hour; the other commands include it.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=$any_section profile=all images=(section1 section2 section4 section5 claims)
services=(section1 section2_postgresql section2_loader section2_members section4_postgresql section4_loader section4_reader
    section5 section5_report)
start_options=([--offline]=SECTION4_OFFLINE=yes [--no-offline]=SECTION4_OFFLINE=no [--demo]=SECTION2_DEMO=yes
    [--sample]=CLAIMS_SAMPLE=)
add_tls_options

usage_start() {
    say "             --demo      fill an empty commerce database with generated sales, once (not remembered)"
    say "             --sample N  fill an empty source of the claims with N made-up treatments, once (not remembered)"
    say "             --offline   cases from a mock API instead of the internet; --no-offline: from the internet again"
}

before_start() {
    need_port section5_report SECTION5_PORT
    prepare_section1
    prepare_section2
    prepare_section4
    prepare_claims
    services+=(claims_mariadb)
    if source_is_filled; then
        add_claims_services
    else
        say "the source of the claims is empty, and only it is started: scripts/claims_runner.sh load FOLDER, or start --sample N"
    fi
}

after_start() { status; }

runner "$@"
