#!/usr/bin/env bash
# Deploys template.yaml: packs the functions, stores them in a bucket, and creates or updates the stack.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'USAGE'
section3/deploy.sh --stack NAME --code-bucket BUCKET PARAMETER=VALUE…
section3/deploy.sh --pack FILE.zip

The parameters are those of template.yaml; an update keeps the values of those that are not given. Needs the AWS command
line with credentials that may create what the template has, and zip. --pack only packs the functions.
USAGE
}

stack='' bucket='' packed=''
while [ $# -gt 0 ]; do
    case $1 in
        --stack) stack=$2 && shift 2 ;;
        --code-bucket) bucket=$2 && shift 2 ;;
        --pack) packed=$2 && shift 2 ;;
        -h | --help) usage && exit ;;
        *=*) break ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# For the processor and the system of the functions, whatever this machine has.
pack() {
    python3 -m pip install --quiet --disable-pip-version-check --requirement functions/requirements.txt \
        --target "$folder/code" --no-compile --only-binary=:all: --implementation cp --python-version 3.13 \
        --platform manylinux_2_34_aarch64 --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64
    cp functions/*.py "$folder/code"
    # The same code gives the same file.
    find "$folder/code" -exec touch --date=2000-01-01T00:00:00Z {} +
    (cd "$folder/code" && find . -type f | LC_ALL=C sort | TZ=UTC zip --quiet -X "$folder/functions.zip" -@)
}

pack
if [ -n "$packed" ]; then
    cp "$folder/functions.zip" "$packed"
    exit
fi
if [ -z "$stack" ] || [ -z "$bucket" ]; then
    usage >&2
    exit 2
fi

key=functions/$(sha256sum "$folder/functions.zip" | cut -c 1-16).zip
aws s3 cp --only-show-errors "$folder/functions.zip" "s3://$bucket/$key"
# The template is too large to be sent with the request.
aws cloudformation deploy --stack-name "$stack" --template-file template.yaml --s3-bucket "$bucket" \
    --s3-prefix template --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
    --parameter-overrides "CodeBucket=$bucket" "CodeKey=$key" "$@"
