#!/usr/bin/env bash
# Creates the secrets that the manifests refer to, each with a random password, unless they exist:
# `create_secrets.sh [--namespace NAME]`, by default `weir`. Uses the current context of kubectl. `--list` prints the
# names of the secrets.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/lib/common.sh"

secrets=(section2-superuser section2-owner section4-superuser section4-owner section4-reader section4-grafana)
namespace=weir
case "$#:${1:-}" in
    0:) ;;
    1:--list)
        printf '%s\n' "${secrets[@]}"
        exit
        ;;
    2:--namespace) namespace=$2 ;;
    *) die "unknown arguments: $*; the only options are --namespace NAME and --list" ;;
esac
command -v kubectl >/dev/null || die "kubectl is missing"
# What is missing is not an error of kubectl, but a server that does not answer is.
found=$(kubectl get namespace "$namespace" --ignore-not-found --output name)
[ -n "$found" ] || die "there is no namespace $namespace: kubectl create namespace $namespace"
for name in "${secrets[@]}"; do
    found=$(kubectl --namespace "$namespace" get secret "$name" --ignore-not-found --output name)
    if [ -n "$found" ]; then
        say "$name exists"
        continue
    fi
    # Not as an argument, which the list of processes shows.
    od --address-radix=n --format=x1 --read-bytes=24 /dev/urandom | tr -d ' \n' |
        kubectl --namespace "$namespace" create secret generic "$name" --from-file=password=/dev/stdin
done
