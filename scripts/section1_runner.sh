#!/usr/bin/env bash
# Membership applications in a container that runs the task hourly.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section1 profile=section1 services=(section1) images=(section1) verbs=(run add)

before_start() { prepare_section1; }

after_start() {
    local container
    container=$(container_of section1)
    if [ "$SECTION1_SCHEDULER" = cron ]; then
        say "cron schedule:       $(grep -E '^[0-9*@]' "$(from_docker "$SECTION1_CRONTAB")" | tail -n 1)"
    else
        say "schedule:            ${SECTION1_CRON:-that of section1/conf/applications.yaml}"
    fi
    say "run now:             scripts/section1_runner.sh run"
    say "add applications:    scripts/section1_runner.sh add FILE.csv"
    say "copy members out:    docker cp $container:/srv/weir/data/members DIR"
}

usage_run() { say "runs now, with the arguments of \`section1 run\`"; }
verb_run() {
    need_running section1
    docker container exec "$(container_of section1)" section1 run "$@"
}

# Why a file cannot be added; nothing if it can.
obstacle() {
    case ${1##*/} in
        .*) say "a name that begins with a dot is not read" ;;
        *[[:cntrl:]]*) say "its name has control characters" ;;
        *.csv)
            if [ -d "$1" ]; then
                say "is a folder: name the files in it"
            elif ! [ -e "$1" ]; then
                say "does not exist"
            elif ! [ -f "$1" ]; then
                say "is not a file"
            elif ! [ -r "$1" ]; then
                say "cannot be read by this user"
            elif ! [ -s "$1" ]; then
                say "is empty"
            fi
            ;;
        *)
            if [ -d "$1" ]; then
                say "is a folder: name the files in it"
            else
                say "the name of a file of applications must end in .csv"
            fi
            ;;
    esac
}

usage_add() { say "adds files of applications, each completely or not at all, for the next run"; }
verb_add() {
    [ $# -gt 0 ] || die "add needs at least one file"
    need_running section1
    local file reason size sha256 client='' code=0
    # Without its client the copy in the container is incomplete, and is discarded.
    trap '[ -z "$client" ] || kill "$client" 2>/dev/null || :
        warn "interrupted: $file was not added"
        exit 130' INT TERM HUP
    for file in "$@"; do
        reason=$(obstacle "$file")
        if [ -n "$reason" ]; then
            warn "$file: $reason"
            code=1
            continue
        fi
        size=$(stat --format %s "$file") sha256=$(sha256sum <"$file")
        docker exec --interactive --user weir "$(container_of section1)" \
            section1-receive "${file##*/}" "$size" "${sha256%% *}" <"$file" &
        client=$!
        wait "$client" || code=1
        client=''
    done
    return "$code"
}

runner "$@"
