#!/usr/bin/env bash
# Makes a random password for each service that has none yet, in docker/secrets (or WEIR_SECRETS), which git ignores. What is
# there is left alone; docs/OPERATIONS.md says how a password is changed.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
load_defaults
make_secrets
