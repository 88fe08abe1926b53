#!/usr/bin/env bash
# Tests the images and the runner scripts from outside: builds the images from programs that are already compiled, starts the
# sections, and checks their behaviour against docs/OPERATIONS.md. Other containers are not touched: the test has its
# own names, tags, ports and volumes, and removes them however it ends.
#
# Usage: scripts/test_images.sh [DIR]     DIR has the programs; without it target/debug
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
cd "$root"
programs=${1:-${CARGO_TARGET_DIR:-target}/debug}

if ! command -v docker >/dev/null || ! docker version >/dev/null 2>&1; then
    echo "########## THE IMAGES WERE NOT TESTED: there is no Docker daemon to talk to ##########" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi
load_defaults
need_compose

folder=$(mktemp -d)
chmod 755 "$folder"
hourly=$root/docker/section1/crontab
every_minute=$folder/every-minute
never=$folder/never
printf 'PATH=/usr/local/bin:/usr/bin:/bin\n* * * * * section1-job\n' >"$every_minute"
printf '0 0 30 2 * section1-job\n' >"$never"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
export COMPOSE_PROJECT_NAME=weir-test-$$ WEIR_PREFIX=weir-test-$$- WEIR_TAG=test WEIR_BIND=127.0.0.1 \
    WEIR_SECRETS=$folder/secrets SECTION1_CRONTAB=$never SECTION2_MEMBERS=200 SECTION2_ORDERS=2000 \
    SECTION4_MOCK_COUNTRIES=5 SECTION5_OPTIONS='--folds 3 --repeats 1' COMPOSE_HTTP_TIMEOUT=300
for variable in SECTION2_POSTGRES_PORT SECTION4_POSTGRES_PORT SECTION4_GRAFANA_PORT SECTION5_PORT; do
    export "$variable=$(free_port)"
done
section1=${WEIR_PREFIX}section1
# A chosen password without suitable file modes; the `:` must be escaped in the password file.
mkdir --mode=755 "$WEIR_SECRETS"
(umask 077 && printf 'chosen:%s' "$COMPOSE_PROJECT_NAME" >"$WEIR_SECRETS/section2_postgres_password")

passed=0
finish() {
    local code=$?
    trap - EXIT
    if [ "$code" -ne 0 ]; then
        echo "== failed; what the containers said last:" >&2
        scripts/all_runner.sh logs --tail 15 >&2 || :
    fi
    scripts/all_runner.sh stop --purge >/dev/null 2>&1 || :
    [ -z "${other:-}" ] || kill "$other" 2>/dev/null || :
    [ -n "${KEEP_IMAGES:-}" ] || docker image ls --format '{{.Repository}}:{{.Tag}}' --filter 'reference=weir/*:test' |
        xargs --no-run-if-empty docker image rm >/dev/null 2>&1 || :
    rm -rf "$folder"
    printf '\nimages: %d passed, %d failed\n' "$passed" "$((code != 0))"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

heading() { printf '\n-- %s (%d s)\n' "$*" "$SECONDS"; }

# `holds WHAT COMMAND…`: the command must succeed.
holds() {
    local what=$1
    shift
    if ! "$@"; then
        die "does not hold: $what ($*)"
    fi
    passed=$((passed + 1))
    printf 'ok  %s\n' "$what"
}

# The command must fail.
fails() { ! "$@" >/dev/null 2>&1; }

# `is WHAT EXPECTED ACTUAL`
is() { holds "$1: ${2%%$'\n'*}" [ "$2" = "$3" ]; }

# `comes SECONDS WHAT COMMAND…`: the command must succeed before the time is over, generously measured.
comes() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            die "did not happen in time: $what"
        fi
        sleep 0.2
    done
    passed=$((passed + 1))
    printf 'ok  %s\n' "$what"
}

inspect() { docker inspect --format "$2" "$1"; }

# No process of the container is root, and only volumes and tmpfs are writable.
is_restricted() {
    local container=$1
    holds "$container has a read-only root file system" [ "$(inspect "$container" '{{.HostConfig.ReadonlyRootfs}}')" = true ]
    holds "$container starts without capabilities" [ "$(inspect "$container" '{{.HostConfig.CapDrop}}')" = '[ALL]' ]
    holds "$container has a health check" [ "$(inspect "$container" '{{if .State.Health}}yes{{end}}')" = yes ]
    holds "$container is not privileged" [ "$(inspect "$container" '{{.HostConfig.Privileged}}')" = false ]
    holds "$container does not run as root" [ "$(docker exec "$container" id -u)" -ne 0 ]
    holds "the user cannot write into $container" fails docker exec "$container" touch /written
    # Even root could not.
    holds "root cannot write into $container" fails docker exec --user 0 "$container" touch /usr/local/bin/written
}

ledger() { docker exec "$section1" section1 runs --json "$@"; }
last_state() { ledger --last 1 | sed -n 's/.*"state":"\([a-z_]*\)".*/\1/p'; }
is_published() { docker exec "$section1" test -e data/members/successful_application/_SUCCESS; }
# In the ledger: it has taken its lock and begins to read.
is_at_work() { [ "$(last_state)" = running ]; }
logged_as_done() { docker logs "$section1" 2>&1 | grep -q '"state":"done"'; }
# Everything that is published, whichever way it is divided into files and ordered.
content() {
    # shellcheck disable=SC2016 # for the shell in the container
    docker exec "$section1" sh -c 'cd data/members && ls && cat */*.csv | sort | sha256sum'
}

heading "images"
scripts/stand_in_images.sh
scripts/build_images.sh --from-host "$programs"

heading "section 1: cron, as it is delivered"
# At the full hour cron would find no applications yet, and rightly complain.
until [ "$(date +%M)" -ne 59 ]; do sleep 1; done
SECTION1_CRONTAB=$hourly scripts/section1_runner.sh start >/dev/null
holds "the crontab is hourly" grep -q '^0 \* \* \* \* ' <(docker exec "$section1" crontab -l)
is_restricted "$section1"
holds "only the owner of the checkout enters the folder of secrets" [ "$(stat --format %a "$WEIR_SECRETS")" = 700 ]
scripts/section1_runner.sh start >/dev/null
docker exec "$section1" section1 generate --rows 20000 data/applications >/dev/null
docker container exec "$section1" section1 run >/dev/null 2>&1
is "a manual run" 'done' "$(last_state)"
small=$(content)

heading "section 1: cron fires"
SECTION1_CRONTAB=$every_minute scripts/section1_runner.sh start >/dev/null
holds "the crontab runs every minute" grep -q '^\* \* \* \* \* ' <(docker exec "$section1" crontab -l)
docker exec "$section1" sh -c 'rm -r data/members/*'
comes 180 "cron runs the task, in the container's environment, and publishes" is_published
comes 60 "its output is in docker logs" logged_as_done
holds "its output is in the log file" docker exec "$section1" grep -q '"state":"done"' /var/log/weir/section1.log
is "cron publishes the same as a manual run" "$small" "$(content)"
is "the owner of files written by cron's job" weir "$(docker exec "$section1" stat --format %U data/members/successful_application/_SUCCESS)"
holds "no values of rows are logged" fails grep -q '@' <(docker logs "$section1" 2>&1)
holds "there are no zombies" fails grep -q ' Z' <(docker top "$section1" -eo pid,stat)
is_healthy() { [ "$(inspect "$1" '{{.State.Health.Status}}')" = healthy ]; }
comes 120 "the container is healthy" is_healthy "$section1"

heading "section 1: a user's file"
scripts/section1_runner.sh start >/dev/null
docker exec "$section1" sh -c 'rm -r data/applications/*'
printf 'name,email,date_of_birth,mobile_no\nMr. Kim Lee,kim_lee@example.com,1990-02-03,91234567\n' >"$folder/monday.csv"
chmod 600 "$folder/monday.csv"
scripts/section1_runner.sh add "$folder/monday.csv"
docker exec "$section1" section1 run >/dev/null 2>&1
is "rows of it that are published, with the header" 2 \
    "$(docker exec "$section1" sh -c 'cat data/members/successful_application/*.csv' | wc -l)"
before=$(inspect "$section1" '{{.Id}}')
scripts/section1_runner.sh start >/dev/null
is "a start without a change leaves the container" "$before" "$(inspect "$section1" '{{.Id}}')"
echo '# changed' >>"$never"
scripts/section1_runner.sh start >/dev/null
holds "a changed crontab takes effect" grep -q changed <(docker exec "$section1" crontab -l)
chmod o-r "$never"
holds "a crontab that cannot be read by the container's user" grep -q 'chmod a+r' \
    <(scripts/section1_runner.sh start 2>&1 || :)
chmod o+r "$never"

heading "section 1: stopped in mid run"
docker exec "$section1" rm data/applications/monday.csv
docker exec "$section1" section1 generate --rows 1000000 data/applications >/dev/null
SECTION1_CRONTAB=$every_minute scripts/section1_runner.sh start >/dev/null
comes 120 "cron starts a run" is_at_work
code=0
docker container exec "$section1" section1 run >/dev/null 2>&1 || code=$?
is "a concurrent run ends at once with exit code" 4 "$code"
holds "the first is still at work" is_at_work
scripts/section1_runner.sh stop >/dev/null
holds "no container is left" [ -z "$(docker ps --all --quiet --filter "name=$WEIR_PREFIX")" ]
holds "no network is left" [ -z "$(docker network ls --quiet --filter "name=$COMPOSE_PROJECT_NAME")" ]
scripts/section1_runner.sh start >/dev/null
is "the run that was stopped" 'done' "$(last_state)"
large=$(content)
holds "it published different rows than the previous run" [ "$large" != "$small" ]

heading "section 1: killed in mid run"
docker exec "$section1" section1 generate --rows 1000000 --seed 2 data/applications >/dev/null
docker exec --detach "$section1" section1 run
comes 60 "a run is at work" is_at_work
docker kill "$section1" >/dev/null
scripts/section1_runner.sh start >/dev/null
is "what was published before the kill is unchanged" "$large" "$(content)"
is "the killed run" died "$(last_state)"
docker container exec "$section1" section1 run >/dev/null 2>&1
is "the run after it" 'done' "$(last_state)"
after_kill=$(content)
docker exec "$section1" sh -c 'rm -rf data/members/* state/*'
docker container exec "$section1" section1 run >/dev/null 2>&1
is "a run after a kill publishes the same as one without a kill" "$(content)" "$after_kill"
# Less for the sections that follow to import.
docker exec "$section1" section1 generate --rows 20000 data/applications >/dev/null
docker container exec "$section1" section1 run >/dev/null 2>&1
is "the last run" 'done' "$(last_state)"

heading "section 1: backed up and restored"
small=$(content)
output=${COMPOSE_PROJECT_NAME}_section1_output
holds "a volume in use is not backed up" fails scripts/volumes.sh backup "$output"
scripts/section1_runner.sh stop >/dev/null
scripts/volumes.sh backup "$output" >"$folder/output.tar"
scripts/section1_runner.sh stop --purge >/dev/null
scripts/volumes.sh restore "$output" <"$folder/output.tar" >/dev/null
scripts/section1_runner.sh start >/dev/null
is "what is published after a restore" "$small" "$(content)"
scripts/section1_runner.sh stop >/dev/null

heading "errors are reported"
echo 'no crontab' >"$folder/no-crontab"
holds "an invalid crontab is reported" grep -q 'bad minute' \
    <(SECTION1_CRONTAB=$folder/no-crontab scripts/section1_runner.sh start 2>&1 || :)
scripts/section1_runner.sh stop >/dev/null
python3 -m http.server --bind 127.0.0.1 "$SECTION5_PORT" >/dev/null 2>&1 &
other=$!
comes 30 "another program takes a port" bash -c ": </dev/tcp/127.0.0.1/$SECTION5_PORT"
holds "a port in use is reported" grep -q SECTION5_PORT= <(scripts/section5_runner.sh start 2>&1 || :)
kill "$other"
wait "$other" || :

heading "section 4: a source that does not answer"
# Nothing listens there.
began=$SECONDS
holds "a first load that fails ends the start" grep -q 'failed: the load at the start' \
    <(SECTION4_LOAD='--source covid19api --base-url http://127.0.0.1:9 --country SGP --retry-for 0s' scripts/section4_runner.sh start 2>&1 || :)
holds "before the time for a first load is over" [ "$((SECONDS - began))" -lt 120 ]
scripts/section4_runner.sh stop >/dev/null

heading "everything together, without the internet"
scripts/all_runner.sh start --offline >/dev/null
for service in section1 section2_postgresql section2_members section4_postgresql section4_loader section4_mock_api \
    section5_report; do
    is_restricted "$WEIR_PREFIX$service"
done
is_well() { scripts/all_runner.sh status >/dev/null; }
comes 60 "all is well" is_well
holds "no port is open to others" fails grep -v '^127\.0\.0\.1:' \
    <(docker ps --filter "name=$WEIR_PREFIX" --format '{{.Ports}}' | tr ',' '\n' | sed 's/^ *//' | grep -e '->')

heading "section 2"
in_shop() { scripts/section2_runner.sh psql --no-align --tuples-only --command "$1"; }
query() { scripts/section2_runner.sh run query "$1" --format csv; }
members_of_section1() {
    docker exec "$section1" sh -c 'cat data/members/successful_application/*.csv | grep -c -v ^first_name'
}
arrived() { [ "$(in_shop 'select count(*) from member')" -gt "$SECTION2_MEMBERS" ]; }
is "rows of top-members, with the header" 11 "$(query top-members | wc -l)"
is "rows of top-items, with the header" 4 "$(query top-items | wc -l)"
comes 120 "section 1's members arrive in the commerce database" arrived
holds "all distinct ones are imported" [ "$(in_shop 'select count(*) from member')" -gt \
    "$((SECTION2_MEMBERS + $(members_of_section1) * 9 / 10))" ]
answer=$(query top-members)
scripts/section2_runner.sh stop >/dev/null
scripts/section2_runner.sh start >/dev/null
holds "importing members is not resumed by default" fails docker inspect "${WEIR_PREFIX}section2_members"
scripts/section2_runner.sh start --members >/dev/null
comes 60 "it is with --members" is_healthy "${WEIR_PREFIX}section2_members"
holds "a stop reports that it ended the import" grep -q 'start --members' <(scripts/section2_runner.sh stop)
scripts/section2_runner.sh start >/dev/null
is "orders after a stop and a start" "$SECTION2_ORDERS" "$(in_shop 'select count(*) from orders')"
is "the answer is the same" "$answer" "$(query top-members)"
in_server() { docker exec --interactive "${WEIR_PREFIX}section2_postgresql" "$@" --username weir; }
in_shop 'create table kept as select 42 as answer' >/dev/null
in_server pg_dump --format custom my_database >"$folder/shop.dump"
scripts/section2_runner.sh stop --purge >/dev/null
SECTION2_ORDERS=10 scripts/section2_runner.sh start >/dev/null
is "orders of a new database" 10 "$(in_shop 'select count(*) from orders')"
in_server pg_restore --dbname my_database --clean --if-exists --single-transaction <"$folder/shop.dump"
is "the kept table, after a restore" 42 "$(in_shop 'select answer from kept')"
is "the answer is the same as before" "$answer" "$(query top-members)"
# As a client of its own, over the network: inside of its container the server trusts everybody.
server_image=$(inspect "${WEIR_PREFIX}section2_postgresql" '{{.Config.Image}}')
as_client() {
    docker run --rm --network "${COMPOSE_PROJECT_NAME}_$1" --env "PGPASSWORD=$2" --entrypoint psql "$server_image" \
        --no-psqlrc --no-align --tuples-only --host "$1_postgresql" --username "$3" --dbname my_database --command "$4"
}
password=$(cat "$WEIR_SECRETS/section2_postgres_password")
is "the password is the chosen one" "chosen:$COMPOSE_PROJECT_NAME" "$password"
is "the password of the secret file is accepted" 1 "$(as_client section2 "$password" weir 'select 1')"
holds "another one is refused" fails as_client section2 wrong weir 'select 1'
holds "no log and no description of a container shows the password" fails grep -q "$password" \
    <(docker ps --all --quiet --filter "name=$WEIR_PREFIX" | while read -r id; do docker inspect "$id"; docker logs "$id"; done 2>&1)

heading "section 4"
in_covid() { docker exec "${WEIR_PREFIX}section4_postgresql" psql --username covid --dbname my_database -At --command "$1"; }
cases='select count(*), md5(string_agg(covid::text, chr(10) order by country, measurement_date)) from covid'
loaded=$(in_covid "$cases")
is "rows of the first load" "$((SECTION4_MOCK_COUNTRIES * 1142))" "${loaded%%|*}"
scripts/section4_runner.sh run >/dev/null 2>&1
is "the table after the second load" "$loaded" "$(in_covid "$cases")"
reader=$(cat "$WEIR_SECRETS/section4_reader_password")
is "Grafana's user reads" "${loaded%%|*}" "$(as_client section4 "$reader" grafana 'select count(*) from covid')"
holds "Grafana's user changes nothing" fails as_client section4 "$reader" grafana 'delete from covid'
holds "the port is open here" bash -c ": </dev/tcp/127.0.0.1/$SECTION4_POSTGRES_PORT"
if docker inspect "${WEIR_PREFIX}section4_grafana" >/dev/null 2>&1; then
    is_restricted "${WEIR_PREFIX}section4_grafana"
    holds "Grafana shows its dashboard" python3 -c "import urllib.request
urllib.request.urlopen('http://127.0.0.1:$SECTION4_GRAFANA_PORT/api/health')"
else
    echo "##  Grafana was not tested: $GRAFANA_IMAGE cannot be pulled"
fi
scripts/section4_runner.sh stop >/dev/null
scripts/section4_runner.sh start --offline >/dev/null
is "the table after a stop and a start" "$loaded" "$(in_covid "$cases")"

heading "section 5"
get() { python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$SECTION5_PORT/$1').read().decode())"; }
holds "the report is served" grep -q '</html>' <(get '')
holds "the model is served" python3 -m json.tool <(get model.json) /dev/null
holds "the prediction is served" grep -q '"price": "low"' <(get prediction.json)

heading "nothing is left"
scripts/all_runner.sh stop --purge >/dev/null
holds "stopping again is not an error" scripts/all_runner.sh stop
for kind in network volume; do
    holds "no $kind is left" [ -z "$(docker "$kind" ls --quiet --filter "name=$COMPOSE_PROJECT_NAME")" ]
done
holds "no container is left" [ -z "$(docker ps --all --quiet --filter "name=$WEIR_PREFIX")" ]
