# shellcheck shell=bash
# Common functions of the scripts that use Docker. To be sourced.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Variables of `docker/.env` that were given a value in the environment: `start` remembers them.
declare -A given=()
# Not settings: the project, to which the file of settings belongs, and what is asked for once.
not_remembered=' COMPOSE_PROJECT_NAME SECTION2_DEMO CLAIMS_SAMPLE CREDIT_SAMPLE '
# Known in addition to those of docker/.env, which cannot have a default for them.
other_settings=(HTTPS_PROXY NO_PROXY WEIR_MEMORY_LIMIT)
# What the names of services, networks and volumes of all sections begin with, an extended regular expression.
# shellcheck disable=SC2034 # for the scripts that source this file
any_section='(section|claims|credit)'

# The lines NAME=VALUE of a file of settings, without comments.
settings_in() { grep -E '^[A-Z0-9_]+=' "$1" || :; }

default_of() { sed -n "s/^$1=//p" "$root/docker/.env"; }

set_project() { export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-$(default_of COMPOSE_PROJECT_NAME)}; }

# The settings that `start` remembered, one file for each project.
settings_file() {
    local project=''
    [ "$COMPOSE_PROJECT_NAME" = "$(default_of COMPOSE_PROJECT_NAME)" ] || project=.$COMPOSE_PROJECT_NAME
    printf '%s/docker/settings%s.env' "$root" "$project"
}

# Sets the variables that scripts and compose.yaml use: environment variables take precedence over the settings that
# `start` remembered, and those over docker/.env. If `forget` is set, the former are forgotten first.
load_defaults() {
    local name value file
    while IFS='=' read -r name value; do
        if [ -n "${!name+x}" ]; then
            given[$name]=${!name}
        fi
    done < <(settings_in "$root/docker/.env" && printf '%s=\n' "${other_settings[@]}")
    set_project
    [ -z "${forget:-}" ] || rm -f "$(settings_file)"
    for file in "$(settings_file)" "$root/docker/.env"; do
        [ -e "$file" ] || continue
        while IFS='=' read -r name value; do
            if [ -z "${!name+x}" ]; then
                export "$name=$value"
            fi
        done < <(settings_in "$file")
    done
}

# Writes the given settings that differ from docker/.env, in addition to those remembered before, and says so. The file
# may have a proxy's password.
remember_settings() {
    local file name value default lines=() names=''
    file=$(settings_file)
    local -A remembered=()
    if [ -e "$file" ]; then
        while IFS='=' read -r name value; do remembered[$name]=$value; done < <(settings_in "$file")
    fi
    for name in "${!given[@]}"; do
        [[ $not_remembered == *" $name "* ]] || remembered[$name]=${given[$name]}
    done
    for name in "${!remembered[@]}"; do
        value=${remembered[$name]} default=$(default_of "$name")
        [[ $value != *$'\n'* ]] || die "$name has several lines, which $file cannot have"
        if [ "$value" != "$default" ]; then
            lines+=("$name=$value") names+=" $name"
        fi
    done
    if [ ${#lines[@]} -eq 0 ]; then
        rm -f "$file"
        return
    fi
    {
        printf '# Settings that start was given, and that later starts use. Edit them, or forget all with start --forget.\n'
        printf '%s\n' "${lines[@]}" | sort
    } | write_private "$file.now"
    if cmp --silent "$file.now" "$file"; then
        rm "$file.now"
    else
        mv "$file.now" "$file"
        say "settings that differ from docker/.env, remembered in ${file#"$root/"}:$names"
    fi
}

# Replaces the file $1 by standard input, readable by the owner only, completely or not at all.
write_private() {
    (umask 077 && cat >"$1.new")
    mv "$1.new" "$1"
}

# Sets `docker_version` to the version of the daemon.
need_docker() {
    if ! command -v docker >/dev/null; then
        die "docker is missing. Install Docker Engine: https://docs.docker.com/engine/install/"
    fi
    if ! docker_version=$(docker version --format '{{.Server.Version}}' 2>&1); then
        warn "Docker's daemon does not answer: ${docker_version##*$'\n'}"
        die "Start it (systemctl start docker), or let this user talk to it (usermod --append --groups docker USER)."
    fi
}

# Prefers the plugin to the older program; the scripts use only features of both.
need_compose() {
    need_docker
    if docker compose version >/dev/null 2>&1; then
        compose_command=(docker compose)
    elif command -v docker-compose >/dev/null; then
        compose_command=(docker-compose)
        # It reads a field that such a daemon no longer returns: KeyError 'ContainerConfig', in the middle of a start.
        if [[ $(docker-compose version --short 2>/dev/null) == 1.* && ${docker_version%%.*} -ge 25 ]]; then
            die "docker-compose 1.29 cannot replace containers of Docker $docker_version: install the Compose plugin."
        fi
    else
        warn "neither the Compose plugin (docker compose) nor docker-compose is installed."
        die "On Debian or Ubuntu: apt-get install docker-compose-plugin, or docker-compose (1.29 or newer)."
    fi
}

# Runners may add files.
compose_files=("$root/docker/compose.yaml")
compose() {
    "${compose_command[@]}" "${compose_files[@]/#/--file=}" --project-directory "$root/docker" "$@"
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# The local name of the stand-in for an image that cannot be pulled, built by scripts/stand_in_images.sh. A digest is not
# part of it, because only a registry has digests.
stand_in_of() { printf 'weir-stand-in/%s' "${1%@*}"; }

# Sets the variable $1, which has an image name, to the image to use: the image itself, pulled if needed, or its
# stand-in.
resolve_image() {
    local -n image=$1
    local stand_in
    stand_in=$(stand_in_of "$image")
    if has_image "$image"; then
        return
    fi
    if ! has_image "$stand_in"; then
        say "pulling $image"
        if docker pull --quiet "$image"; then
            return
        fi
        return 1
    fi
    warn "$image is not available: using its stand-in $stand_in (to get the real one: docker pull $image)"
    image=$stand_in
}

# Like resolve_image, but ends the script if neither is available.
need_image() {
    if ! resolve_image "$1"; then
        warn "${!1} cannot be pulled, and there is no stand-in for it."
        local option=''
        [ "$1" != RUST_IMAGE ] || option=' --rust'
        die "To build a stand-in on a Debian machine, run as root: scripts/stand_in_images.sh$option"
    fi
}

# A path for compose.yaml, resolved relative to docker/.
from_docker() {
    case $1 in
        /*) printf '%s' "$1" ;;
        *) printf '%s' "$root/docker/${1#./}" ;;
    esac
}

secrets_folder() { from_docker "$WEIR_SECRETS"; }

# Names of the containers that use the volume $1; with --all, including stopped ones.
users_of() { docker ps "${@:2}" --filter "volume=$1" --format '{{.Names}}' | paste -sd ' '; }

# The files in the folder of secrets with a password or a key; each is created if it does not exist.
password_files=(section2_superuser_password section2_postgres_password section4_superuser_password
    section4_postgres_password section4_reader_password section4_grafana_password claims_loader_password
    claims_source_password claims_superuser_password claims_postgres_password claims_reader_password claims_grafana_password
    credit_s3_key credit_s3_secret credit_mariadb_password)

# Passwords are random and created once. Compose mounts the files unchanged, and services run as different users: so the
# files are readable by all, but only the owner can enter their folder.
make_secrets() {
    local folder name
    folder=$(secrets_folder)
    # A password chosen by the user may have been stored with other file modes.
    mkdir -p "$folder"
    chmod 700 "$folder"
    for name in "${password_files[@]}"; do
        if [ ! -s "$folder/$name" ]; then
            od --address-radix=n --format=x1 --read-bytes=24 /dev/urandom | tr -d ' \n' >"$folder/$name"
        fi
        chmod a+r "$folder/$name"
    done
    if [ "$(tls_mode)" = on ]; then
        make_certificate "$folder/tls"
    fi
}

# `on` or `off`. By default the databases use TLS if other machines can reach them.
tls_mode() {
    case $WEIR_TLS in
        on | off) printf %s "$WEIR_TLS" ;;
        auto)
            case $WEIR_BIND in
                127.* | ::1 | '[::1]') printf off ;;
                *) printf on ;;
            esac
            ;;
        *) die "WEIR_TLS is $WEIR_TLS: it must be auto, on or off" ;;
    esac
}

# The names by which clients know the databases, as subject alternative names.
certificate_names() {
    local name
    printf 'DNS:localhost,IP:127.0.0.1'
    for name in section2_postgresql section4_postgresql claims_postgresql "$(uname -n)" $WEIR_TLS_NAMES; do
        case $name in
            *[!0-9.]*) printf ',DNS:%s' "$name" ;;
            *) printf ',IP:%s' "$name" ;;
        esac
    done
}

# A certificate of the operator (server.crt, server.key, and ca.crt of the authority that issued it) is used as it is.
# Otherwise an authority of its own is created once, and a certificate of it whenever the names change or less than 30
# days are left.
make_certificate() {
    local folder=$1 names file
    mkdir -p "$folder"
    if [ ! -e "$folder/ca.key" ] && [ -e "$folder/server.crt" ]; then
        for file in ca.crt server.key; do
            [ -s "$folder/$file" ] || die "$folder has server.crt, but not $file: add it, or remove server.crt"
        done
        openssl verify -CAfile "$folder/ca.crt" -untrusted "$folder/server.crt" "$folder/server.crt" >/dev/null ||
            die "$folder/server.crt is not a valid certificate of the authority in ca.crt"
    else
        command -v openssl >/dev/null || die "openssl is missing, which creates the certificate: apt-get install openssl"
        names=$(certificate_names)
        if [ ! -s "$folder/ca.crt" ] || [ ! -s "$folder/ca.key" ]; then
            new_key "$folder/ca.key"
            openssl req -x509 -new -key "$folder/ca.key" -sha256 -days 3650 -subj "/CN=weir $COMPOSE_PROJECT_NAME" \
                -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
                -out "$folder/ca.crt"
            rm -f "$folder/server.crt"
        fi
        if [ ! -s "$folder/server.key" ] || [ "$(cat "$folder/names" 2>/dev/null)" != "$names" ] ||
            ! openssl x509 -in "$folder/server.crt" -noout -checkend 2592000 >/dev/null 2>&1; then
            new_key "$folder/server.key"
            openssl req -new -key "$folder/server.key" -subj /CN=postgresql |
                openssl x509 -req -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -sha256 -days 397 \
                    -extfile <(printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n' \
                        "$names") -out "$folder/server.crt" 2>/dev/null
            printf %s "$names" >"$folder/names"
            say "a certificate was created for the databases; clients verify it with $folder/ca.crt"
        fi
    fi
    # Like the passwords: the folder of secrets is closed to others.
    chmod a+rx "$folder"
    chmod a+r "$folder/ca.crt" "$folder/server.crt" "$folder/server.key"
}

new_key() { (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null); }
