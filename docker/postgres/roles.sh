#!/usr/bin/env bash
# Applies roles.sql to the server at PGHOST, as its superuser.
set -euo pipefail
cd /usr/local/lib/weir
query() {
    psql --no-psqlrc --no-password --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
        --set "owner=$WEIR_OWNER" "$@"
}

# Clusters of former versions have no `postgres`: the owner of the database was their superuser. It gets that name, and
# a new role becomes the owner. Until the last step nothing has happened that could not be repeated.
if ! query --username postgres --dbname template1 --command 'select 1' >/dev/null 2>&1; then
    echo "roles: the superuser $WEIR_OWNER becomes postgres; $WEIR_OWNER becomes a role without special rights"
    query --username "$WEIR_OWNER" --dbname template1 --file former_superuser.sql
    query --username weir_upgrade --dbname template1 \
        --command 'select datname from pg_database where datallowconn and not datistemplate' |
        while read -r database; do
            query --username weir_upgrade --dbname "$database" --file former_owner.sql </dev/null
        done
    query --username weir_upgrade --dbname template1 --single-transaction --file former_names.sql
fi
query --username postgres --dbname template1 --set "section=$WEIR_SECTION" --set "database=$POSTGRES_DB" \
    --file roles.sql
