#!/usr/bin/env bash
# Fills the source: a database of MySQL 8 or MariaDB 10.11, or newer.
set -euo pipefail
cd_to=$PWD
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'USAGE'
pipelines/claims/source/load.sh [--replace] FOLDER        loads treatments.csv, claims.csv, invoices.csv, invoice_items.csv
pipelines/claims/source/load.sh [--replace] --sample N    loads N made-up treatments, and what belongs to them
pipelines/claims/source/load.sh --write FOLDER --sample N writes their files only

The text NULL in the files is null; a column is found by its name in the header. Tables that have rows are not touched
without --replace. All four tables are there in the end, or what was there before.

The database is that of CLAIMS_SOURCE_HOST (127.0.0.1), CLAIMS_SOURCE_PORT (3306), CLAIMS_SOURCE_USER (claims),
CLAIMS_SOURCE_DATABASE (claims) and CLAIMS_SOURCE_PASSWORD, or a file CLAIMS_SOURCE_PASSWORD_FILE. The user needs the
rights create, drop, alter, insert and select. CLAIMS_SOURCE_OPTIONS are further options of the client, such as --ssl.
The server must allow files of its clients: set global local_infile = on.
USAGE
}

die() {
    printf 'load.sh: %s\n' "$*" >&2
    exit 1
}

# The client of either server.
client() {
    local name
    for name in mariadb mysql; do
        command -v "$name" && return
    done
    die "neither the client mariadb nor mysql is installed: apt-get install mariadb-client"
}

query() {
    # shellcheck disable=SC2086 # several options
    "$client" --no-defaults --host "${CLAIMS_SOURCE_HOST:-127.0.0.1}" --port "${CLAIMS_SOURCE_PORT:-3306}" \
        --user "${CLAIMS_SOURCE_USER:-claims}" ${CLAIMS_SOURCE_OPTIONS:-} --default-character-set=utf8mb4 --local-infile=1 \
        --batch --skip-column-names "${CLAIMS_SOURCE_DATABASE:-claims}"
}

# `sample N FOLDER`
sample() { awk -v "rows=$1" -v "folder=$2" -f sample.awk; }

files=(treatments:TREATMENT claims:CLAIM invoices:INVOICE invoice_items:INVOICE_ITEM)

# The statements that load a file into its table, and then show its warnings: with LOCAL a value that does not fit is one.
# NULL without quotes is null because there is a character for quotes.
load_data() {
    local file=$1 table=$2 columns end='\n'
    columns=$(head -n 1 "$file" | sed 's/^\xef\xbb\xbf//')
    if [[ $columns == *$'\r' ]]; then
        end='\r\n' columns=${columns%$'\r'}
    fi
    columns=${columns//\"/}
    [[ $columns =~ ^[A-Z_]+(,[A-Z_]+)*$ ]] || die "$file: the first line must have the names of the columns"
    [[ $file != *[\'\\]* ]] || die "$file: a path with a quote or a backslash cannot be loaded"
    cat <<SQL
load data local infile '$file' into table ${table}_NEW character set utf8mb4
    fields terminated by ',' optionally enclosed by '"' escaped by '' lines terminated by '$end' ignore 1 lines ($columns);
show warnings limit 3;
SQL
}

# Of those that are there.
tables() { query <<<'select table_name from information_schema.tables where table_schema = database()'; }
has() { [[ $'\n'$there$'\n' == *$'\n'$1$'\n'* ]]; }

# Those that have rows, of those that are there.
used() {
    local pair table
    for pair in "${files[@]}"; do
        table=${pair#*:}
        if has "$table"; then
            query <<<"select '$table' from (select 1 from $table limit 1) as some"
        fi
    done
}

# The new tables take the names, all in one statement; those that were there are dropped.
rename() {
    local pair table rename='' drop=''
    for pair in "${files[@]}"; do
        table=${pair#*:}
        if has "$table"; then
            rename+="$table to ${table}_OLD, "
            drop+="${drop:+, }${table}_OLD"
        fi
        rename+="${table}_NEW to $table, "
    done
    query <<<"rename table ${rename%, }; ${drop:+drop table $drop;}"
}

replace='' rows='' folder='' write=''
while [ $# -gt 0 ]; do
    case $1 in
        --replace) replace=yes ;;
        --sample | --write)
            [ $# -ge 2 ] || die "$1 needs a value; see --help"
            if [ "$1" = --sample ]; then rows=$2; else write=$2; fi
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        -*) die "unknown option $1; see --help" ;;
        *) folder=$1 ;;
    esac
    shift
done
[ -z "$rows" ] || [[ $rows =~ ^[1-9][0-9]{0,8}$ ]] || die "--sample needs a number of rows from 1 to 999999999: $rows"
if [ -n "$write" ]; then
    [ -n "$rows" ] || die "--write needs --sample N"
    write=$(cd "$cd_to" && realpath "$write")
    [ -d "$write" ] || die "$write is no folder"
    sample "$rows" "$write"
    exit
fi
if [ -z "$rows$folder" ] || { [ -n "$rows" ] && [ -n "$folder" ]; }; then
    usage >&2
    exit 2
fi

client=$(client)
[ -z "${CLAIMS_SOURCE_PASSWORD_FILE:-}" ] || CLAIMS_SOURCE_PASSWORD=$(<"$CLAIMS_SOURCE_PASSWORD_FILE")
export MYSQL_PWD=${CLAIMS_SOURCE_PASSWORD:-}
if [ -n "$folder" ]; then
    folder=$(cd "$cd_to" && realpath "$folder")
    [ -d "$folder" ] || die "$folder is no folder"
fi
there=$(tables)
used=$(used)
[ -z "$used" ] || [ -n "$replace" ] || die "these tables have rows, which only --replace replaces: ${used//$'\n'/, }"
if [ -n "$rows" ]; then
    folder=$(mktemp --directory)
    trap 'rm -rf "$folder"' EXIT
    sample "$rows" "$folder"
fi
statements=$(
    for pair in "${files[@]}"; do
        printf 'drop table if exists %s_NEW, %s_OLD;\n' "${pair#*:}" "${pair#*:}"
    done
    cat tables.sql
    for pair in "${files[@]}"; do
        [ -r "$folder/${pair%:*}.csv" ] || die "$folder/${pair%:*}.csv cannot be read"
        load_data "$folder/${pair%:*}.csv" "${pair#*:}"
    done
)
warnings=$(query <<<"$statements")
[ -z "$warnings" ] || die "the files do not fit the tables, and nothing was loaded:"$'\n'"$warnings"
rename
for pair in "${files[@]}"; do
    query <<<"select concat(count(*), ' rows in ${pair#*:}') from ${pair#*:}"
done
