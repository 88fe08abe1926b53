#!/usr/bin/env bash
# The buying price of a car: trains, predicts, and serves the report.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section5 profile=section5 services=(section5 section5_report) images=(section5) verbs=(run open)

before_start() { need_port section5_report SECTION5_PORT; }

after_start() {
    say "the report: http://localhost:$SECTION5_PORT/ (next to it: model.json and prediction.json)"
}

usage_run() { say "runs \`section5\` with arguments such as \`evaluate\`; by default recreates model and report"; }
verb_run() {
    prepare_compose
    need_section_images
    if [ $# -eq 0 ]; then
        set -- section5-make --again
    else
        set -- section5 "$@"
    fi
    run_once section5 "$@"
}

usage_open() { say "opens the report"; }
verb_open() {
    need_running section5_report
    open_address "http://localhost:$SECTION5_PORT/"
}

runner "$@"
