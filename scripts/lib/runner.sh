# shellcheck shell=bash
# The verbs of the runner scripts. A script sets `section` and, if it needs them, the variables below; it defines what is its
# own as functions; then it calls `runner "$@"`.
#
#   section     section1, …: what its services, networks and volumes begin with (`section` for all of them)
#   profile     the profile of compose.yaml that it starts
#   services    the services of it that it starts
#   images      the images that scripts/build_images.sh makes for it
#   verbs       its own verbs, each a function `verb_NAME`, and `usage_NAME` for the line that describes it
#
#   before_start    may change `services` and `images`; gets the arguments of start
#   after_start     says what can be done now
#   after_stop      gets the services that were stopped

# shellcheck source=scripts/lib/docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/docker.sh"

section='' profile='' services=() images=() verbs=() started_options=''
before_start() { [ $# -eq 0 ] || die "start does not know $1"; }
after_start() { :; }
after_stop() { :; }

usage() {
    say "scripts/${0##*/} VERB"
    say
    say "  start$started_options"
    say "           builds what is missing, starts what does not run, and waits until it works"
    say "  stop     lets what is going on finish, and removes containers and networks; --purge removes the data, too"
    say "  status   what runs, and how it is; exit code 0 if all of it is well, 3 if not"
    say "  logs     what was logged; --follow, --tail N"
    local verb
    for verb in "${verbs[@]}"; do
        printf '  %-8s %s\n' "$verb" "$("usage_$verb")"
    done
}

# Containers of the section, id and service: also those that no compose file mentions any more.
containers() {
    docker ps --all --format '{{.ID}} {{.Label "com.docker.compose.service"}}' \
        --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | grep " $section" || :
}

container_of() { printf '%s%s' "$WEIR_PREFIX" "$1"; }

# `running healthy`, `exited 0` and the like. Who is not to be started again when he ends has something to do and then ends:
# until then he is `running busy`.
state_of() {
    local format='{{.State.Status}} {{if ne .State.Status "running"}}{{.State.ExitCode}}'
    format+='{{else if eq .HostConfig.RestartPolicy.Name "no" "on-failure"}}busy'
    format+='{{else if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}'
    docker inspect --format "$format" "$1" 2>/dev/null || echo missing
}

# What the last health check of a container said.
last_check() { docker inspect --format '{{range .State.Health.Log}}{{println .Output}}{{end}}' "$1" | sed '/^$/d' | tail -n 1; }

is_running() { [ "$(docker inspect --format '{{.State.Running}}' "$(container_of "$1")" 2>/dev/null)" = true ]; }

need_running() {
    is_running "$1" || die "$(container_of "$1") is not running: scripts/${0##*/} start"
}

# A port that is taken makes Docker fail in the middle; it is looked for before. `need_port SERVICE VARIABLE`
need_port() {
    local port=${!2}
    if ! is_running "$1" && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        die "port $port is taken by another program: stop it, or choose another port: $2=PORT scripts/${0##*/} start"
    fi
}

# What services mount from this checkout: `mounts VARIABLE PATH…`. Users of the containers have to be able to read it, and a
# container is made anew when it changes: compose.yaml has the variable as a label.
mounts() {
    local variable=$1 file closed=()
    shift
    for file in "$@"; do
        [ -e "$file" ] || die "there is no $file"
    done
    mapfile -t closed < <(find "$@" -type f ! -perm -o+r)
    if [ ${#closed[@]} -gt 0 ]; then
        die "the users of the containers cannot read what they are to read: chmod a+r$(printf " '%s'" "${closed[@]}")"
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

# Waits until every container of the section works, or is done; says which one does not.
wait_until_well() {
    local deadline=$((SECONDS + ${WEIR_WAIT:-600})) id name state said waiting
    while :; do
        waiting=''
        while read -r id _; do
            name=$(docker inspect --format '{{slice .Name 1}}' "$id") state=$(state_of "$id")
            # Who ends again and again will not get well by itself.
            if [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -ge 3 ] && [ "$state" != 'running healthy' ]; then
                state='started again and again'
            fi
            # What its check calls failed is not going to get well by waiting.
            if [ "$state" = 'running starting' ] && said=$(last_check "$id") && [[ $said == failed* ]]; then
                state="running, but $said"
            fi
            case $state in
                'running healthy' | 'exited 0') ;;
                'running starting' | 'running busy' | 'created '* | 'restarting '* | 'paused '*) waiting+=" $name" ;;
                *)
                    docker logs --tail 20 "$id" >&2
                    die "$name is $state; above are its last lines, scripts/${0##*/} logs has all"
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

# Compose with the section's profile. docker-compose 1.29 makes the networks and volumes of all services, started or not:
# those of other sections that were not there before are empty, and go.
compose_of_section() {
    local before code=0 kind name
    before=$'\n'$(networks_and_volumes)$'\n'
    COMPOSE_PROFILES=$profile compose "$@" || code=$?
    while read -r kind name; do
        if [[ $name != "${COMPOSE_PROJECT_NAME}_$section"* && $before != *$'\n'"$kind $name"$'\n'* ]]; then
            docker "$kind" rm "$name" >/dev/null 2>&1 || :
        fi
    done < <(networks_and_volumes)
    return "$code"
}

# Runs a command in a container of its own that is like a service's: `run_once SERVICE COMMAND…`.
run_once() {
    # docker-compose 1.29 says twice that it makes a container.
    compose_of_section run --rm --no-deps -T "$@" 2> >(grep -v '^Creating ' >&2)
}

start() {
    need_compose
    before_start "$@"
    need_section_images
    make_secrets
    local log
    log=$(mktemp)
    if ! compose_of_section up --detach --no-build "${services[@]}" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "the start failed"
    fi
    rm -f "$log"
    wait_until_well
    after_start
}

stop() {
    local purge=''
    case ${1:-} in
        '') ;;
        --purge) purge=yes ;;
        *) die "stop does not know $1" ;;
    esac
    need_docker
    local ids=() servers=() stopped=() id service network volume
    while read -r id service; do
        stopped+=("$service")
        case $service in
            *_postgresql | *_mock_api) servers+=("$id") ;;
            *) ids+=("$id") ;;
        esac
    done < <(containers)
    # Each has the time to finish that it was made with. What a run needs goes after the run.
    [ ${#ids[@]} -eq 0 ] || docker stop "${ids[@]}" >/dev/null
    [ ${#servers[@]} -eq 0 ] || docker stop "${servers[@]}" >/dev/null
    ids+=("${servers[@]}")
    [ ${#ids[@]} -eq 0 ] || docker rm --force --volumes "${ids[@]}" >/dev/null
    for network in $(docker network ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_${section}"); do
        docker network rm "$network" >/dev/null
    done
    if [ -n "$purge" ]; then
        for volume in $(docker volume ls --quiet --filter "name=^${COMPOSE_PROJECT_NAME}_${section}"); do
            docker volume rm "$volume" >/dev/null ||
                die "volume $volume is still in use by $(users_of "$volume" --all): stop that first"
        done
        say "stopped, and the data is removed"
    else
        say "stopped; the data is kept"
    fi
    after_stop "${stopped[@]}"
}

status() {
    need_docker
    local id name state well=yes some=''
    while read -r id _; do
        some=yes
        name=$(docker inspect --format '{{slice .Name 1}}' "$id") state=$(state_of "$id")
        printf '%-24s %s\n' "$name" "$state"
        case $state in
            'running healthy' | 'running starting' | 'running busy' | 'exited 0') ;;
            *) well='' ;;
        esac
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
    # Several at once, each line with the container's name, as long as one of them writes.
    for id in "${ids[@]}"; do
        docker logs "$@" "$id" 2>&1 | sed -u "s/^/$(docker inspect --format '{{slice .Name 1}}' "$id") | /" &
    done
    trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
    wait
}

# What section 1 needs besides itself.
prepare_section1() { mounts SECTION1_MOUNTED "$(from_docker "$SECTION1_CRONTAB")"; }

# What section 4 needs besides itself, with the arguments of start: `prepare_section4 [--offline]`.
prepare_section4() {
    case ${1:-} in
        '') docker rm --force --volumes "$(container_of section4_mock_api)" >/dev/null 2>&1 || : ;;
        --offline)
            services+=(section4_mock_api)
            export SECTION4_LOAD='--source covid19api --base-url http://mock-api:8019 --all'
            ;;
        *) die "start does not know $1" ;;
    esac
    mounts SECTION4_MOUNTED "$root"/docker/section4/make-reader \
        "$root"/docker/grafana/{reader.sql,grafana.ini,provisioning,dashboards}
    need_port section4_postgresql SECTION4_POSTGRES_PORT
    if resolve_image GRAFANA_IMAGE; then
        services+=(section4_grafana)
        need_port section4_grafana SECTION4_GRAFANA_PORT
    else
        warn "$GRAFANA_IMAGE cannot be pulled: everything but Grafana is started"
    fi
}

# Shows where something is served, and opens it where there is a screen to open it on.
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
    load_defaults
    local verb=${1:-}
    [ $# -eq 0 ] || shift
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
