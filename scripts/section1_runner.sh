#!/usr/bin/env bash
# Membership applications in a container: cron runs them hourly.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section1 profile=section1 services=(section1) images=(section1) verbs=(run add)

before_start() {
    [ $# -eq 0 ] || die "start does not know $1"
    prepare_section1
}

after_start() {
    local container
    container=$(container_of section1)
    say "cron runs it at:      $(docker exec "$container" crontab -l | grep --invert-match '^#' | tail -n 1)"
    say "at once:              scripts/section1_runner.sh run"
    say "applications go in:   scripts/section1_runner.sh add FILE.csv"
    say "members come out:     docker cp $container:/srv/weir/data/members DIR"
}

usage_run() { say "runs now; its arguments are those of \`section1 run\`"; }
verb_run() {
    need_running section1
    docker container exec "$(container_of section1)" section1 run "$@"
}

usage_add() { say "puts files of applications in, each as a whole, for the next run"; }
verb_add() {
    [ $# -gt 0 ] || die "add needs the names of files"
    need_running section1
    local file
    for file in "$@"; do
        [[ $file == *.csv ]] || die "$file: applications come in files whose names end in .csv"
        [ -r "$file" ] || die "$file cannot be read"
        # No run reads a half of it: the task takes *.csv.
        # shellcheck disable=SC2016 # for the shell in the container
        docker exec --interactive --workdir /srv/weir/data/applications "$(container_of section1)" \
            sh -euc 'cat >".$1.part"; mv ".$1.part" "$1"' add "${file##*/}" <"$file"
    done
}

runner "$@"
