#!/usr/bin/env bash
# Puts files of loans into the bucket, as the bank does every hour.
set -euo pipefail
cd_to=$PWD
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'USAGE'
pipelines/credit/source/deliver.sh HOUR FILE...          puts the files there for the hour, such as 2022-06-05T09
pipelines/credit/source/deliver.sh --sample N --hours H [--from HOUR]
                                                          makes up N loans for each of H hours, by default the last ones

The bucket is CREDIT_BUCKET (credit), which --create creates, at AWS_ENDPOINT (https://s3.AWS_REGION.amazonaws.com), in
AWS_REGION (us-east-1). The keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the file AWS_SECRET_ACCESS_KEY_FILE.
CREDIT_FOLDER is a folder to write to instead of a bucket.

Made-up loans have every fault that the task knows, and each hour repeats some loans of the hour before with other values.
The same numbers give the same loans.
USAGE
}

die() {
    printf 'deliver.sh: %s\n' "$*" >&2
    exit 1
}

bucket=${CREDIT_BUCKET:-credit}
region=${AWS_REGION:-us-east-1}
endpoint=${AWS_ENDPOINT:-https://s3.$region.amazonaws.com}

# `request METHOD PATH [FILE]`: one request to the store. The secret is on no command line.
request() {
    local body=()
    [ $# -lt 3 ] || body=(--data-binary "@$3" --header "Content-Type: text/csv")
    curl --config - --silent --show-error --fail-with-body --retry 5 --retry-connrefused --max-time 120 \
        --aws-sigv4 "aws:amz:$region:s3" --request "$1" "${body[@]}" "${endpoint%/}/$bucket$2" >/dev/null <<CONFIG ||
user = "${AWS_ACCESS_KEY_ID:?is not set}:${AWS_SECRET_ACCESS_KEY:?is not set}"
CONFIG
        die "$1 $2 in the bucket $bucket of $endpoint failed"
}

# `key HOUR NAME`: where the file of an hour lies.
key() {
    local day=${1%T*} hour=${1#*T}
    echo "yyyy=${day%%-*}/mm=$(cut -d- -f2 <<<"$day")/dd=${day##*-}/hh=$hour/$2"
}

# `put HOUR FILE`
put() {
    local to
    to=$(key "$1" "$(basename "$2")")
    if [ -n "${CREDIT_FOLDER:-}" ]; then
        mkdir -p "$CREDIT_FOLDER/$(dirname "$to")"
        cp "$2" "$CREDIT_FOLDER/$to"
    else
        request PUT "/$to" "$2"
    fi
}

check_hour() {
    [[ $1 =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}$ ]] || die "an hour is written as 2022-06-05T09: $1"
}

create='' rows='' hours='' from='' files=()
while [ $# -gt 0 ]; do
    case $1 in
        --create) create=yes ;;
        --sample | --hours | --from)
            [ $# -ge 2 ] || die "$1 needs a value; see --help"
            case $1 in
                --sample) rows=$2 ;;
                --hours) hours=$2 ;;
                --from) from=$2 ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        -*) die "unknown option $1; see --help" ;;
        *) files+=("$1") ;;
    esac
    shift
done
if [ -n "${AWS_SECRET_ACCESS_KEY_FILE:-}" ]; then
    AWS_SECRET_ACCESS_KEY=$(<"$AWS_SECRET_ACCESS_KEY_FILE")
fi
if [ -n "${CREDIT_FOLDER:-}" ]; then
    CREDIT_FOLDER=$(cd "$cd_to" && mkdir -p "$CREDIT_FOLDER" && realpath "$CREDIT_FOLDER")
elif [ -n "$create" ]; then
    request PUT ""
fi
if [ -z "$rows$hours" ]; then
    [ ${#files[@]} -gt 1 ] || [ -n "$create" ] || {
        usage >&2
        exit 2
    }
    [ ${#files[@]} -eq 0 ] || check_hour "${files[0]}"
    for file in "${files[@]:1}"; do
        file=$(cd "$cd_to" && realpath "$file")
        [ -r "$file" ] || die "$file cannot be read"
        put "${files[0]}" "$file"
    done
    exit
fi
[[ $rows =~ ^[1-9][0-9]{0,6}$ && $hours =~ ^[1-9][0-9]{0,4}$ && ${#files[@]} -eq 0 ]] ||
    die "write --sample N --hours H, with a number of loans and one of hours; see --help"
if [ -z "$from" ]; then
    from=$(date --utc --date "$hours hours ago" +%Y-%m-%dT%H)
fi
check_hour "$from"
folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
begin=$(date --utc --date "${from%T*} ${from#*T}:00" +%s)
for ((hour = 0; hour < hours; hour++)); do
    awk -v "rows=$rows" -v "hour=$hour" -f sample.awk >"$folder/loans.csv"
    put "$(date --utc --date "@$((begin + hour * 3600))" +%Y-%m-%dT%H)" "$folder/loans.csv"
done
echo "$hours hours of $rows loans from $from on"
