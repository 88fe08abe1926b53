#!/bin/sh
# Checks an installed `weir`: its version, and a task from a CSV file to the published rows. Needs a base system and
# `weir` on the path.
#
# Usage: check.sh VERSION [HOST…]     each HOST has to resolve; nothing may listen there at PostgreSQL's port
set -eu
expected=$1
shift
cd "$(mktemp -d)"

version=$(weir --version)
[ "$version" = "weir $expected" ] || {
    echo "\`weir --version\` printed \"$version\" in place of \"weir $expected\"" >&2
    exit 1
}

cat >people.csv <<'CSV'
id,name,joined
1,Ann,2022-01-31
2,"Lee, Bob",2022-02-28
3,Cid,2024-02-29
CSV
weir init people.csv >/dev/null
weir validate --task-config people.yaml >/dev/null
weir run --quiet --task-config people.yaml
cat out/people/*.csv >published.csv
diff people.csv published.csv
weir runs --task-config people.yaml --json | grep -q '"state":"done"'

# A statically linked program has its own resolver. A name is resolved if the connection is refused.
for host in "$@"; do
    cat >weir.yaml <<YAML
connections:
  other: {postgres: "postgres://$host:5432/other?sslmode=disable"}
YAML
    cat >resolve.yaml <<'YAML'
name: resolve
sources:
  row: {postgres: {connection: other, table: row}, columns: {id: bigint}}
models:
  copy: row.sql
sinks:
  copy: {from: copy, mode: overwrite, files: {path: out/copy, format: csv}}
YAML
    echo 'select id from row' >row.sql
    weir doctor --task-config resolve.yaml >doctor.txt 2>&1 || :
    grep -qi 'connection refused' doctor.txt || {
        echo "weir did not resolve $host:" >&2
        cat doctor.txt >&2
        exit 1
    }
done
