# shellcheck shell=bash
# The commands of the runner scripts. A script sets `section` and, if needed, the variables below, defines its own
# functions, and then calls `runner "$@"`.
#
#   section     section1, …: prefix of its services, networks and volumes, an extended regular expression
#   profile     its profile in compose.yaml
#   services    the services that it starts
#   images      its images, built by scripts/build_images.sh
#   verbs       additional commands, each a function `verb_NAME`, with `usage_NAME` for its description
#
#   start_options   what each option of start sets, as a setting: [--members]=SECTION2_FOLLOW=yes; one whose setting has no
#                   value takes it from the next argument: [--sample]=CLAIMS_SAMPLE=
#   usage_start     describes the options of start
#
#   before_start    may change `services` and `images`
#   after_start     prints the next steps
#   after_stop      is passed the stopped services

# shellcheck source=scripts/lib/docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/docker.sh"

section='' profile='' services=() images=() verbs=()
declare -A start_options=()
# For sections with a database.
add_tls_options() { start_options+=([--tls]=WEIR_TLS=on [--no-tls]=WEIR_TLS=off); }
usage_start() { :; }
before_start() { :; }
after_start() { :; }
after_stop() { :; }

usage() {
    say "scripts/${0##*/} COMMAND"
    say
    say "  start    builds missing images, starts the containers, and waits until they are healthy. Options are remembered"
    say "           for later starts:"
    usage_start
    if [ -n "${start_options[--tls]:-}" ]; then
        say "             --tls       the database refuses sessions without TLS; --no-tls: it does not use TLS"
    fi
    say "             --forget    forget all earlier options and settings first"
    say "  stop     lets current runs finish, and removes containers and networks; --purge also removes the data, after a"
    say "           question, or with --yes without one"
    say "  status   state of the containers; exit code 0 if all are healthy, otherwise 3"
    say "  logs     the containers' logs; --follow, --tail N"
    local verb
    for verb in "${verbs[@]}"; do
        printf '  %-8s %s\n' "$verb" "$("usage_$verb")"
    done
}

# Containers of the section, id and service, including those of services that compose.yaml no longer has.
containers() {
    docker ps --all --format '{{.ID}} {{.Label "com.docker.compose.service"}}' \
        --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | grep -E " $section" || :
}

name_of() { docker inspect --format '{{slice .Name 1}}' "$1"; }

container_of() { printf '%s%s' "$WEIR_PREFIX" "$1"; }

# `running healthy`, `done` and the like. A container that is not restarted when it exits has a finite job: until then it
# is `running busy`, and then `done` if it succeeded.
# shellcheck disable=SC2016 # variables of Docker's templates
state_of() {
    local format='{{$finite := eq .HostConfig.RestartPolicy.Name "no" "on-failure"}}'
    format+='{{if and $finite (eq .State.Status "exited") (eq .State.ExitCode 0)}}done{{else}}'
    format+='{{.State.Status}} {{if ne .State.Status "running"}}{{.State.ExitCode}}'
    format+='{{else if eq .HostConfig.RestartPolicy.Name "no" "on-failure"}}busy'
    format+='{{else if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}{{end}}'
    docker inspect --format "$format" "$1" 2>/dev/null || echo missing
}

# Whether a state is that of a container that works, or has done its work.
is_well() { [ "$1" = 'running healthy' ] || [ "$1" = 'done' ]; }

# Output of a container's last health check.
last_check() { docker inspect --format '{{range .State.Health.Log}}{{println .Output}}{{end}}' "$1" | sed '/^$/d' | tail -n 1; }

# What the health check of a container with the state $2 found, if that is `running unhealthy`.
reason_of() { [ "$2" != 'running unhealthy' ] || printf ': %s' "$(last_check "$1")"; }

is_running() { [ "$(docker inspect --format '{{.State.Running}}' "$(container_of "$1")" 2>/dev/null)" = true ]; }

need_running() {
    is_running "$1" || die "$(container_of "$1") is not running: scripts/${0##*/} start"
}

# Checks a port first, because Docker would fail in the middle of the start. `need_port SERVICE VARIABLE`
need_port() {
    local port=${!2}
    if ! is_running "$1" && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        die "port $port is in use by another program: stop it, or choose another port: $2=PORT scripts/${0##*/} start"
    fi
}

# Checks the files that services mount from this checkout: `mounts VARIABLE PATH…`. The users of the containers must be
# able to read them. Sets the variable, a label in compose.yaml, to their hash: a container is recreated if they change.
mounts() {
    local variable=$1 file closed=()
    shift
    for file in "$@"; do
        [ -e "$file" ] || die "$file does not exist"
    done
    mapfile -t closed < <(find "$@" -type f ! -perm -o+r)
    if [ ${#closed[@]} -gt 0 ]; then
        die "the users of the containers cannot read mounted files: chmod a+r$(printf " '%s'" "${closed[@]}")"
    fi
    export "$variable=$(find "$@" -type f -print0 | sort --zero-terminated | xargs --null cat | sha256sum | cut --characters=-16)"
}

need_section_images() {
    local image missing=()
    for image in "${images[@]}"; do
        has_image "weir/$image:$WEIR_TAG" || missing+=("$image")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        say "building ${missing[*]}"
        "$root/scripts/build_images.sh" "${missing[@]}"
    fi
}

# Waits until every container of the section is healthy or done; reports one that fails.
wait_until_well() {
    local deadline=$((SECONDS + ${WEIR_WAIT:-600})) id name state said waiting
    while :; do
        waiting=''
        while read -r id _; do
            name=$(name_of "$id") state=$(state_of "$id")
            # A container that exits repeatedly will not recover.
            if [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -ge 3 ] && [ "$state" != 'running healthy' ]; then
                state='in a restart loop'
            fi
            # A health check whose output begins with `failed` will not recover.
            if [ "$state" = 'running starting' ] && said=$(last_check "$id") && [[ $said == failed* ]]; then
                state="running, but $said"
            fi
            case $state in
                'running healthy' | 'done') ;;
                'running starting' | 'running busy' | 'created '* | 'restarting '* | 'paused '*) waiting+=" $name" ;;
                *)
                    docker logs --tail 20 "$id" >&2
                    die "$name is $state$(reason_of "$id" "$state"); see its last lines above, and all of them with scripts/${0##*/} logs"
                    ;;
            esac
        done < <(containers)
        [ -n "$waiting" ] || return 0
        if [ "$SECONDS" -ge "$deadline" ]; then
            die "still waiting for$waiting: scripts/${0##*/} logs"
        fi
        sleep 0.5
    done
}

networks_and_volumes() {
    local filter=label=com.docker.compose.project=$COMPOSE_PROJECT_NAME
    docker network ls --format 'network {{.Name}}' --filter "$filter"
    docker volume ls --format 'volume {{.Name}}' --filter "$filter"
}

# Runs Compose with the section's profile. docker-compose 1.29 creates the networks and volumes of all services; those
# of other sections that did not exist before are empty and are removed.
compose_of_section() {
    local before code=0 kind name
    before=$'\n'$(networks_and_volumes)$'\n'
    COMPOSE_PROFILES=$profile compose "$@" || code=$?
    while read -r kind name; do
        if ! [[ $name =~ ^${COMPOSE_PROJECT_NAME}_$section ]] && [[ $before != *$'\n'"$kind $name"$'\n'* ]]; then
            docker "$kind" rm "$name" >/dev/null 2>&1 || :
        fi
    done < <(networks_and_volumes)
    return "$code"
}

# Runs a command in a new container like that of a service: `run_once SERVICE COMMAND…`.
run_once() {
    # docker-compose 1.29 reports twice that it creates a container.
    compose_of_section run --rm --no-deps -T "$@" 2> >(grep -v '^Creating ' >&2)
}

# Options of start are settings, as if they had been given in the environment.
take_start_options() {
    local option setting
    while [ $# -gt 0 ]; do
        option=$1 setting=${start_options[$1]:-}
        shift
        if [ "$option" = --forget ]; then
            forget=yes
        elif [ -z "$setting" ]; then
            warn "unknown option of start: $option; see scripts/${0##*/} --help"
            exit 2
        elif [[ $setting != *= ]]; then
            export "${setting?}"
        elif [ $# -gt 0 ]; then
            export "$setting$1"
            shift
        else
            warn "$option needs a value; see scripts/${0##*/} --help"
            exit 2
        fi
    done
}

# Docker refuses more CPUs than the machine has.
limit_cpus() {
    local name cpus
    cpus=$(docker info --format '{{.NCPU}}')
    for name in WEIR_CPUS SECTION1_CPUS; do
        if [ -n "${!name:-}" ] && [ "$(printf '%s\n' "$cpus" "${!name}" | sort --numeric-sort | tail --lines=1)" != "$cpus" ]; then
            export "$name=$cpus"
        fi
    done
}

# Creates and starts the containers of `services`.
up() {
    local log
    log=$(mktemp)
    if ! compose_of_section up --detach --no-build "${services[@]}" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "docker compose failed"
    fi
    rm -f "$log"
}

# Everything that Compose needs for containers, but images.
prepare_compose() {
    need_compose
    if [ "$(tls_mode)" = on ]; then
        compose_files+=("$root/docker/compose.tls.yaml")
    fi
    limit_cpus
    make_secrets
}

start() {
    prepare_compose
    before_start
    need_section_images
    remember_settings
    up
    wait_until_well
    after_start
}

# Volumes of the section.
volumes() { docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_${section}"; }

# Ends the script with code 2, and nothing changed, if the data is not to be removed or could not be removed completely.
# Containers of other sections may use a volume, also those that are stopped.
confirm_purge() {
    local yes=$1 volume user own=' ' id word answer users=''
    while read -r id _; do
        own+="$(name_of "$id") "
    done < <(containers)
    for volume in $(volumes); do
        for user in $(users_of "$volume" --all); do
            [[ $own == *" $user "* ]] || users+=$'\n'"  $volume is in use by $user"
        done
    done
    if [ -n "$users" ]; then
        warn "nothing was stopped or removed, because other containers use the data:$users"
        warn "stop these first"
        exit 2
    fi
    [ -z "$yes" ] || return 0
    if ! [ -t 0 ]; then
        warn "nothing was stopped or removed: --purge removes data for ever; add --yes if that is intended"
        exit 2
    fi
    word=${0##*/} word=${word%_runner.sh}
    say "This removes for ever:"
    volumes | sed 's/^/  /'
    read -r -p "To remove it, type $word: " answer || answer=''
    if [ "$answer" != "$word" ]; then
        warn "nothing was stopped or removed"
        exit 2
    fi
}

# What a container printed last outlives it: at most 1 MB, and the last ten files of each container.
keep_log() {
    local id=$1 name folder=$root/docker/logs file
    name=$(name_of "$id")
    (umask 077 && mkdir -p "$folder")
    file=$folder/$name.$(date --utc +%Y-%m-%dT%H-%M-%SZ).log
    docker logs --tail 10000 "$id" 2>&1 | tail --bytes=1000000 | write_private "$file"
    find "$folder" -type f -name "$name.????-??-??T??-??-??Z.log" | sort | head --lines=-10 | xargs --no-run-if-empty rm --
}

stop() {
    local purge='' yes='' argument
    for argument in "$@"; do
        case $argument in
            --purge) purge=yes ;;
            --yes) yes=yes ;;
            *)
                warn "unknown option of stop: $argument; see scripts/${0##*/} --help"
                exit 2
                ;;
        esac
    done
    need_docker
    [ -z "$purge" ] || confirm_purge "$yes"
    local ids=() servers=() stopped=() id service network volume
    while read -r id service; do
        stopped+=("$service")
        case $service in
            *_postgresql | *_mariadb | *_mock_api | *_s3) servers+=("$id") ;;
            *) ids+=("$id") ;;
        esac
    done < <(containers)
    # Each container has its own grace period. Servers are stopped after the runs that need them.
    [ ${#ids[@]} -eq 0 ] || docker stop "${ids[@]}" >/dev/null
    [ ${#servers[@]} -eq 0 ] || docker stop "${servers[@]}" >/dev/null
    ids+=("${servers[@]}")
    if [ ${#ids[@]} -gt 0 ]; then
        for id in "${ids[@]}"; do keep_log "$id"; done
        docker rm --force --volumes "${ids[@]}" >/dev/null
        say "the last log lines of the containers are in docker/logs/"
    fi
    for network in $(docker network ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_${section}"); do
        docker network rm "$network" >/dev/null
    done
    if [ -n "$purge" ]; then
        for volume in $(volumes); do
            docker volume rm "$volume" >/dev/null
        done
        say "stopped; the data was removed"
    else
        say "stopped; the data was kept"
    fi
    after_stop "${stopped[@]}"
}

status() {
    need_docker
    local id name state well=yes some=''
    while read -r id _; do
        some=yes
        name=$(name_of "$id") state=$(state_of "$id")
        printf '%-24s %s\n' "$name" "$state$(reason_of "$id" "$state")"
        is_well "$state" || well=''
    done < <(containers)
    if [ -z "$some" ]; then
        say "nothing is running"
        exit 3
    fi
    [ -n "$well" ] || exit 3
}

logs() {
    need_docker
    local id ids
    mapfile -t ids < <(containers | cut -d ' ' -f 1)
    [ ${#ids[@]} -gt 0 ] || die "nothing is running: scripts/${0##*/} start"
    if [ ${#ids[@]} -eq 1 ]; then
        docker logs "$@" "${ids[0]}"
        return
    fi
    # Several logs concurrently, each line prefixed with the container's name.
    for id in "${ids[@]}"; do
        docker logs "$@" "$id" 2>&1 | sed -u "s/^/$(name_of "$id") | /" &
    done
    trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
    wait
}

# Prerequisites of section 1. Its task and crontab are checked here and not only in the container, so that a wrong one
# does not replace a container that works.
prepare_section1() {
    local options=(--env SECTION1_SCHEDULER --env SECTION1_CRON --env SECTION1_TIMEOUT --env WEIR_MEMORY_LIMIT) crontab
    case $SECTION1_SCHEDULER in
        weir) ;;
        cron)
            crontab=$(from_docker "$SECTION1_CRONTAB")
            mounts SECTION1_MOUNTED "$crontab"
            options+=(--volume "$(realpath "$crontab"):/etc/weir/crontab:ro")
            compose_files+=("$root/docker/compose.cron.yaml")
            ;;
        *) die "SECTION1_SCHEDULER is $SECTION1_SCHEDULER: it must be cron or weir" ;;
    esac
    need_section_images
    docker run --rm --pull never --network none --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp \
        "${options[@]}" "weir/section1:$WEIR_TAG" section1-check >/dev/null ||
        die "section 1 was not started, because this check failed; a container that is running was left as it is"
}

# Files that the containers of a database mount; with TLS, also the certificates, which are read at the start only.
postgres_files() {
    printf '%s\n' "$root/docker/postgres"
    if [ "$(tls_mode)" = on ]; then
        printf '%s\n' "$(secrets_folder)"/tls/{ca,server}.crt
    fi
}

# Prerequisites of section 2.
prepare_section2() {
    local files
    mapfile -t files < <(postgres_files)
    mounts SECTION2_MOUNTED "${files[@]}"
    need_port section2_postgresql SECTION2_POSTGRES_PORT
    need_image POSTGRES_IMAGE
}

# Prerequisites of section 4.
prepare_section4() {
    need_image POSTGRES_IMAGE
    case $SECTION4_OFFLINE in
        no) docker rm --force --volumes "$(container_of section4_mock_api)" >/dev/null 2>&1 || : ;;
        yes)
            services+=(section4_mock_api)
            export SECTION4_LOAD='--source covid19api --base-url http://mock-api:8019 --all'
            ;;
        *) die "SECTION4_OFFLINE is $SECTION4_OFFLINE: it must be yes or no" ;;
    esac
    local files
    mapfile -t files < <(postgres_files)
    mounts SECTION4_MOUNTED "${files[@]}" "$root"/docker/section4/make-reader \
        "$root"/docker/grafana/{reader.sql,reader_loads.sql,grafana.ini,provisioning,dashboards}
    need_port section4_postgresql SECTION4_POSTGRES_PORT
    if resolve_image GRAFANA_IMAGE; then
        services+=(section4_grafana)
        need_port section4_grafana SECTION4_GRAFANA_PORT
    else
        warn "$GRAFANA_IMAGE cannot be pulled: starting without Grafana"
    fi
}

# Prerequisites of the claims: also starts the source, because runs on an empty one would fail.
prepare_claims() {
    [[ $CLAIMS_SAMPLE =~ ^([1-9][0-9]{0,7})?$ ]] ||
        die "CLAIMS_SAMPLE is $CLAIMS_SAMPLE: it must be a number of rows from 1 to 99999999"
    need_image MARIADB_IMAGE
    need_image POSTGRES_IMAGE
    local files services=(claims_mariadb)
    mapfile -t files < <(postgres_files)
    mounts CLAIMS_MOUNTED "${files[@]}" "$root"/docker/{mariadb,claims/weir.yaml,claims/grafana} \
        "$root"/docker/section4/make-reader "$root"/docker/grafana/{reader.sql,reader_loads.sql,grafana.ini} \
        "$root"/pipelines/claims/source
    need_port claims_postgresql CLAIMS_POSTGRES_PORT
    remember_settings
    up
    wait_for claims_mariadb
    if [ -n "$CLAIMS_SAMPLE" ] && ! source_is_filled; then
        say "filling the empty source of the claims with $CLAIMS_SAMPLE made-up treatments, and what belongs to them"
        fill_source --sample "$CLAIMS_SAMPLE"
    fi
}

# The services that need a source with rows.
add_claims_services() {
    services+=(claims_postgresql claims_loader claims_reader)
    if resolve_image GRAFANA_IMAGE; then
        services+=(claims_grafana)
        need_port claims_grafana CLAIMS_GRAFANA_PORT
    else
        warn "$GRAFANA_IMAGE cannot be pulled: starting the claims without Grafana"
    fi
}

# Waits until a server is healthy: `wait_for SERVICE`.
wait_for() {
    local deadline=$((SECONDS + 120)) container
    container=$(container_of "$1")
    until [ "$(state_of "$container")" = 'running healthy' ]; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            docker logs --tail 20 "$container" >&2
            die "$container does not answer: see its last lines above"
        fi
        sleep 0.5
    done
}

# A statement in the source, as the user that reads it.
query_source() {
    # shellcheck disable=SC2016 # for the shell in the container
    docker exec "$(container_of claims_mariadb)" sh -c 'MYSQL_PWD=$(cat /run/secrets/source_password) exec mariadb --no-defaults \
        --host 127.0.0.1 --user claims --batch --skip-column-names --execute "$0" claims' "$1"
}

# Its tables get their names at the end of a load.
source_is_filled() { [ "$(query_source "show tables like 'TREATMENT'")" = TREATMENT ]; }

# Runs load.sh on a folder of this machine, or on made-up files: `fill_source [--replace] FOLDER|--sample N`.
fill_source() {
    local load=$root/pipelines/claims/source/load.sh folder made='' replace=() code=0
    if [ "${1:-}" = --replace ]; then
        replace=(--replace)
        shift
    fi
    if [ "${1:-}" = --sample ]; then
        made=$(mktemp --directory)
        "$load" --write "$made" --sample "${2:-}" || code=$?
        # The user of the container reads them.
        chmod 755 "$made"
        chmod 644 "$made"/* 2>/dev/null || :
        folder=$made
    else
        folder=$(realpath "$1")
    fi
    [ "$code" -ne 0 ] || compose_of_section run --rm --no-deps -T --volume "$folder:/files:ro" claims_fill \
        "${replace[@]}" /files 2> >(grep -v '^Creating ' >&2) || code=$?
    [ -z "$made" ] || rm -rf "$made"
    return "$code"
}

# Prints an address, and opens it if there is a graphical session.
open_address() {
    say "$1"
    local program
    for program in xdg-open open; do
        if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v "$program" >/dev/null; then
            "$program" "$1" >/dev/null 2>&1 &
            return
        fi
    done
}

runner() {
    local verb=${1:-} forget=''
    [ $# -eq 0 ] || shift
    if [ "$verb" = start ]; then
        take_start_options "$@"
        set --
    fi
    load_defaults
    case $verb in
        start | stop | status | logs) "$verb" "$@" ;;
        -h | --help | help) usage ;;
        *)
            if [ -z "$verb" ] || [[ " ${verbs[*]} " != *" $verb "* ]]; then
                usage >&2
                exit 2
            fi
            need_docker
            "verb_$verb" "$@"
            ;;
    esac
}
