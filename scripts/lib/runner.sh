# shellcheck shell=bash
# The commands of the runner scripts. A script sets `section` and, if needed, the variables below, defines its own
# functions, and then calls `runner "$@"`.
#
#   section     section1, …: prefix of its services, networks and volumes (`section` for all of them)
#   profile     its profile in compose.yaml
#   services    the services that it starts
#   images      its images, built by scripts/build_images.sh
#   verbs       additional commands, each a function `verb_NAME`, with `usage_NAME` for its description
#
#   before_start    may change `services` and `images`; is passed the arguments of start
#   after_start     prints the next steps
#   after_stop      is passed the stopped services

# shellcheck source=scripts/lib/docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/docker.sh"

section='' profile='' services=() images=() verbs=() started_options=''
before_start() { [ $# -eq 0 ] || die "unknown argument of start: $1"; }
after_start() { :; }
after_stop() { :; }

usage() {
    say "scripts/${0##*/} COMMAND"
    say
    say "  start$started_options"
    say "           builds missing images, starts the containers, and waits until they are healthy"
    say "  stop     lets current runs finish, and removes containers and networks; --purge also removes the data"
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
        --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | grep " $section" || :
}

container_of() { printf '%s%s' "$WEIR_PREFIX" "$1"; }

# `running healthy`, `exited 0` and the like. A container that is not restarted when it exits has a finite job: until
# then it is `running busy`.
state_of() {
    local format='{{.State.Status}} {{if ne .State.Status "running"}}{{.State.ExitCode}}'
    format+='{{else if eq .HostConfig.RestartPolicy.Name "no" "on-failure"}}busy'
    format+='{{else if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}'
    docker inspect --format "$format" "$1" 2>/dev/null || echo missing
}

# Output of a container's last health check.
last_check() { docker inspect --format '{{range .State.Health.Log}}{{println .Output}}{{end}}' "$1" | sed '/^$/d' | tail -n 1; }

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
            name=$(docker inspect --format '{{slice .Name 1}}' "$id") state=$(state_of "$id")
            # A container that exits repeatedly will not recover.
            if [ "$(docker inspect --format '{{.RestartCount}}' "$id")" -ge 3 ] && [ "$state" != 'running healthy' ]; then
                state='in a restart loop'
            fi
            # A health check whose output begins with `failed` will not recover.
            if [ "$state" = 'running starting' ] && said=$(last_check "$id") && [[ $said == failed* ]]; then
                state="running, but $said"
            fi
            case $state in
                'running healthy' | 'exited 0') ;;
                'running starting' | 'running busy' | 'created '* | 'restarting '* | 'paused '*) waiting+=" $name" ;;
                *)
                    docker logs --tail 20 "$id" >&2
                    die "$name is $state; see its last lines above, and all of them with scripts/${0##*/} logs"
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
        if [[ $name != "${COMPOSE_PROJECT_NAME}_$section"* && $before != *$'\n'"$kind $name"$'\n'* ]]; then
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
        die "docker compose failed"
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
        *) die "unknown argument of stop: $1" ;;
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
    # Each container has its own grace period. Servers are stopped after the runs that need them.
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
    # Several logs concurrently, each line prefixed with the container's name.
    for id in "${ids[@]}"; do
        docker logs "$@" "$id" 2>&1 | sed -u "s/^/$(docker inspect --format '{{slice .Name 1}}' "$id") | /" &
    done
    trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
    wait
}

# Prerequisites of section 1.
prepare_section1() { mounts SECTION1_MOUNTED "$(from_docker "$SECTION1_CRONTAB")"; }

# Prerequisites of section 4, with the arguments of start: `prepare_section4 [--offline]`.
prepare_section4() {
    case ${1:-} in
        '') docker rm --force --volumes "$(container_of section4_mock_api)" >/dev/null 2>&1 || : ;;
        --offline)
            services+=(section4_mock_api)
            export SECTION4_LOAD='--source covid19api --base-url http://mock-api:8019 --all'
            ;;
        *) die "unknown argument of start: $1" ;;
    esac
    mounts SECTION4_MOUNTED "$root"/docker/section4/make-reader \
        "$root"/docker/grafana/{reader.sql,grafana.ini,provisioning,dashboards}
    need_port section4_postgresql SECTION4_POSTGRES_PORT
    if resolve_image GRAFANA_IMAGE; then
        services+=(section4_grafana)
        need_port section4_grafana SECTION4_GRAFANA_PORT
    else
        warn "$GRAFANA_IMAGE cannot be pulled: starting without Grafana"
    fi
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
