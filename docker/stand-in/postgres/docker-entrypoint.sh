#!/usr/bin/env bash
# Creates a cluster at the first start and then runs the server, like the official image's script of this name. Supports
# POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS (each also with _FILE), POSTGRES_HOST_AUTH_METHOD,
# PGDATA and /docker-entrypoint-initdb.d.
set -euo pipefail

# The value of $1, or the content of the file named by $1_FILE, or the default $2.
setting() {
    local file=$1_FILE
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "$1 and $file are both set: set only one of them" >&2
        exit 1
    fi
    if [ -n "${!file:-}" ]; then
        cat "${!file}"
    else
        printf '%s' "${!1:-$2}"
    fi
}

# With the arguments of the server.
init_cluster() {
    local user database arguments
    user=$(setting POSTGRES_USER postgres)
    database=$(setting POSTGRES_DB "$user")
    arguments=$(setting POSTGRES_INITDB_ARGS '')
    if [ -z "$password" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo "a new database needs a password: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # several arguments
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") $arguments
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    # Only the init scripts may access the server before it is complete: it listens on its Unix socket only.
    local options
    printf -v options '%q ' "${@:2}" -c listen_addresses=''
    pg_ctl --pgdata="$PGDATA" --options="$options" --wait start
    export PGPASSWORD=$password
    local psql=(psql --set ON_ERROR_STOP=1 --username "$user" --no-password --no-psqlrc)
    if [ "$database" != postgres ]; then
        "${psql[@]}" --dbname postgres --set "name=$database" <<<'create database :"name";'
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        echo "$0: $file"
        case $file in
            *.sh)
                if [ -x "$file" ]; then
                    "$file"
                else
                    # shellcheck source=/dev/null
                    . "$file"
                fi
                ;;
            *.sql) "${psql[@]}" --dbname "$database" --file "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | "${psql[@]}" --dbname "$database" ;;
            '/docker-entrypoint-initdb.d/*') ;;
            *) echo "$0: $file is ignored" ;;
        esac
    done
    unset PGPASSWORD
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
}

if [ "${1:-}" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chown -R postgres:postgres "$PGDATA"
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
    fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" || :
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        password=$(setting POSTGRES_PASSWORD '')
        init_cluster "$@"
    fi
fi
exec "$@"
