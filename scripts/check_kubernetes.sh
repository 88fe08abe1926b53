#!/usr/bin/env bash
# Checks the manifests of deploy/kubernetes without a cluster, and the check itself. Installs what it needs into the
# folder of the tests' tools.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
cd "$root"

# kubectl is one of the tools.
python_environment tools scripts/requirements-test.txt
python_environment kubernetes deploy/kubernetes/requirements.txt
PATH=$(tools_folder)/tools/bin:$PATH
export PATH
"$(tools_folder)/kubernetes/bin/python" deploy/kubernetes/check.py
"$(tools_folder)/kubernetes/bin/python" deploy/kubernetes/test_check.py
