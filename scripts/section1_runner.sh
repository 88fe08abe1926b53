#!/usr/bin/env bash
# Membership applications in a container: cron runs them hourly.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/runner.sh"

section=section1 profile=section1 services=(section1) images=(section1) verbs=(run)

after_start() {
    local container
    container=$(container_of section1)
    say "section1 runs hourly, on the hour; at once: scripts/section1_runner.sh run"
    say "applications go in:   docker cp FILE.csv $container:/srv/weir/data/applications/"
    say "members come out:     docker cp $container:/srv/weir/data/members DIR"
}

usage_run() { say "runs now; its arguments are those of \`section1 run\`"; }
verb_run() {
    need_running section1
    docker container exec "$(container_of section1)" section1 run "$@"
}

runner "$@"
