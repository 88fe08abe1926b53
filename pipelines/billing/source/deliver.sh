#!/bin/sh
# Puts made-up deliveries of a clinic into the inbox, as the clinic does every day.
set -eu

usage() {
    cat <<'USAGE'
pipelines/billing/source/deliver.sh [--days N] [--patients N] [--from DATE] [--skip N] [--broken] [FOLDER]

Writes patients_DATE.csv, providers_DATE.csv and claims_DATE.csv of each day into FOLDER, by default data/billing/in of this
checkout.

  --days N       so many days (3)
  --patients N   so many patients on the first day, 100 or more (1000); providers and claims in proportion
  --from DATE    the first day, such as 2026-11-01; by default the days end yesterday
  --skip N       the files of the first N days are not written: they were delivered before
  --broken       all new claims of the last day have a negative amount

The deliveries have every fault that the tasks know, and each day has revisions of records of the days before. The same
numbers give the same files.
USAGE
}

die() {
    printf 'deliver.sh: %s\n' "$*" >&2
    exit 1
}

here=$(dirname "$0")
days=3 patients=1000 from='' skip=0 broken='' folder=''
while [ $# -gt 0 ]; do
    case $1 in
        --days | --patients | --from | --skip)
            [ $# -ge 2 ] || die "$1 needs a value; see --help"
            case $1 in
                --days) days=$2 ;;
                --patients) patients=$2 ;;
                --from) from=$2 ;;
                --skip) skip=$2 ;;
            esac
            shift
            ;;
        --broken) broken=yes ;;
        -h | --help)
            usage
            exit
            ;;
        -*) die "unknown option $1; see --help" ;;
        *) folder=$1 ;;
    esac
    shift
done

# `is_number TEXT LEAST`
is_number() {
    case $1 in
        '' | *[!0-9]* | ???????*) return 1 ;;
    esac
    [ "$1" -ge "$2" ]
}
is_number "$days" 1 || die "--days needs a number of days: $days"
is_number "$patients" 100 || die "--patients needs a number from 100 on: $patients"
is_number "$skip" 0 || die "--skip needs a number of days: $skip"
if [ -z "$from" ]; then
    # Seconds since 1970; a day has no other length in UTC.
    from=$(date -u -d "@$(($(date -u +%s) - days * 86400))" +%Y-%m-%d)
fi
case $from in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
    *) die "a day is written as 2026-11-01: $from" ;;
esac
folder=${folder:-$here/../../../data/billing/in}
mkdir -p "$folder"
awk -v "days=$days" -v "patients=$patients" -v "from=$from" -v "skip=$skip" -v "broken=$broken" -v "folder=$folder" \
    -f "$here/sample.awk"
echo "$((days - skip)) days of deliveries from $from on, of $patients patients at first"
