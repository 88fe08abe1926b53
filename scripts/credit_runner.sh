#!/usr/bin/env bash
# Loans of a bank: the hourly files of a bucket into MariaDB. Without a bucket a container stands for one.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=credit profile=credit images=(credit) verbs=(run queue deliver mariadb)
start_options=([--sample]=CREDIT_SAMPLE=)

usage_start() {
    say "             --sample N  deliver N made-up loans for each of the last 24 hours (not remembered)"
}

# Whether a container stands for the bucket.
uses_stand_in() { [ "$CREDIT_ENDPOINT" = "$(default_of CREDIT_ENDPOINT)" ]; }

# The first of the last 24 hours that are due, which is five minutes after their end.
first_of_sample() { date --utc --date "$((24 * 60 + 5)) minutes ago" +%Y-%m-%dT%H; }

# The first hour that is loaded, remembered: that of the settings or of made-up loans, otherwise this hour.
choose_first_window() {
    local first
    if [ -n "$CREDIT_SAMPLE" ]; then
        first=$(first_of_sample)
    else
        first=$(date --utc +%Y-%m-%dT%H)
    fi
    if [ -z "$CREDIT_FIRST_WINDOW" ] || [[ -n $CREDIT_SAMPLE && $CREDIT_FIRST_WINDOW > $first ]]; then
        export CREDIT_FIRST_WINDOW=$first
        given[CREDIT_FIRST_WINDOW]=$first
    fi
}

# deliver.sh on the bucket of the settings. From this machine the container that stands for it is at its port.
deliver() {
    local endpoint=$CREDIT_ENDPOINT folder
    folder=$(secrets_folder)
    if uses_stand_in; then
        need_running credit_s3
        endpoint=http://127.0.0.1:$CREDIT_S3_PORT
    fi
    command -v curl >/dev/null || die "curl is missing, which puts files into the bucket: apt-get install curl"
    no_proxy=127.0.0.1${no_proxy:+,$no_proxy} AWS_ENDPOINT=$endpoint AWS_REGION=$CREDIT_REGION CREDIT_FOLDER='' \
        AWS_ACCESS_KEY_ID=$(<"$folder/credit_s3_key") AWS_SECRET_ACCESS_KEY_FILE=$folder/credit_s3_secret \
        "$root/pipelines/credit/source/deliver.sh" "$@"
}

# The servers are started first: the loader needs a bucket.
before_start() {
    [[ $CREDIT_SAMPLE =~ ^([1-9][0-9]{0,6})?$ ]] ||
        die "CREDIT_SAMPLE is $CREDIT_SAMPLE: it must be a number of loans from 1 to 9999999"
    [[ $CREDIT_BUCKET =~ ^[a-z0-9][a-z0-9.-]*(/[^/]+)*$ ]] ||
        die "CREDIT_BUCKET is $CREDIT_BUCKET: write the name of the bucket, such as loans, or loans/FOLDER"
    choose_first_window
    need_image MARIADB_IMAGE
    mounts CREDIT_MOUNTED "$root"/docker/{mariadb,credit/weir.yaml}
    services=(credit_mariadb)
    if uses_stand_in; then
        need_image S3_IMAGE
        need_port credit_s3 CREDIT_S3_PORT
        services+=(credit_s3)
    else
        docker rm --force --volumes "$(container_of credit_s3)" >/dev/null 2>&1 || :
    fi
    remember_settings
    up
    if uses_stand_in; then
        wait_for credit_s3
        CREDIT_BUCKET=${CREDIT_BUCKET%%/*} deliver --create
    fi
    if [ -n "$CREDIT_SAMPLE" ]; then
        deliver --sample "$CREDIT_SAMPLE" --hours 24 --from "$(first_of_sample)"
    fi
    services+=(credit_loader)
}

after_start() {
    say "hours from $CREDIT_FIRST_WINDOW on go into the table loan: scripts/credit_runner.sh mariadb --execute 'select count(*) from loan'"
    if uses_stand_in; then
        say "the bucket $CREDIT_BUCKET is in the memory of a container, at http://127.0.0.1:$CREDIT_S3_PORT: a stop removes its content"
    fi
    say "deliver files: scripts/credit_runner.sh deliver HOUR FILE..."
}

usage_run() { say "loads the last hour that is due now, with the arguments of \`weir run\`"; }
verb_run() {
    need_running credit_loader
    docker exec "$(container_of credit_loader)" credit run "$@"
}

usage_queue() { say "the hours that wait, are running, empty or dead, with the arguments of \`weir queue --list\`"; }
verb_queue() {
    need_running credit_loader
    docker exec "$(container_of credit_loader)" credit queue --list "$@"
}

usage_deliver() { say "HOUR FILE... puts files into the bucket for an hour, such as 2026-11-01T09; --help"; }
verb_deliver() { deliver "$@"; }

usage_mariadb() { say "the client in the database, with its arguments"; }
verb_mariadb() {
    need_running credit_mariadb
    local terminal=()
    if [ -t 0 ] && [ -t 1 ]; then
        terminal=(--tty)
    fi
    # shellcheck disable=SC2016 # for the shell in the container
    docker exec --interactive "${terminal[@]}" "$(container_of credit_mariadb)" sh -c 'MYSQL_PWD=$(cat /run/secrets/mariadb_password) \
        exec mariadb --no-defaults --host 127.0.0.1 --user credit --database credit "$@"' sh "$@"
}

runner "$@"
