#!/usr/bin/env bash
# Creates a random password for each service without one, in docker/secrets (or WEIR_SECRETS), which git ignores.
# Existing passwords are kept; to change one, see docs/OPERATIONS.md.
set -euo pipefail
# shellcheck source=scripts/lib/docker.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/docker.sh"
load_defaults
make_secrets
