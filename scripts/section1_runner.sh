#!/usr/bin/env bash
# Membership applications in a container: cron runs them hourly.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section1 profile=section1 services=(section1) images=(section1) verbs=(run add)

before_start() {
    [ $# -eq 0 ] || die "unknown argument of start: $1"
    prepare_section1
}

after_start() {
    local container
    container=$(container_of section1)
    say "cron schedule:       $(docker exec "$container" crontab -l | grep --invert-match '^#' | tail -n 1)"
    say "run now:             scripts/section1_runner.sh run"
    say "add applications:    scripts/section1_runner.sh add FILE.csv"
    say "copy members out:    docker cp $container:/srv/weir/data/members DIR"
}

usage_run() { say "runs now, with the arguments of \`section1 run\`"; }
verb_run() {
    need_running section1
    docker container exec "$(container_of section1)" section1 run "$@"
}

usage_add() { say "adds files of applications, each atomically, for the next run"; }
verb_add() {
    [ $# -gt 0 ] || die "add needs at least one file"
    need_running section1
    local file
    for file in "$@"; do
        [[ $file == *.csv ]] || die "$file: the name of a file of applications must end in .csv"
        [ -r "$file" ] || die "$file cannot be read"
        # No run reads a partial file: the task reads *.csv.
        # shellcheck disable=SC2016 # for the shell in the container
        docker exec --interactive --workdir /srv/weir/data/applications "$(container_of section1)" \
            sh -euc 'cat >".$1.part"; mv ".$1.part" "$1"' add "${file##*/}" <"$file"
    done
}

runner "$@"
