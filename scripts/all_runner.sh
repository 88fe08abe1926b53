#!/usr/bin/env bash
# All sections together; the members accepted by section 1 are imported into the commerce database of section 2.
set -euo pipefail
# shellcheck source=scripts/lib/runner.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/runner.sh"

section=section profile=all images=(section1 section2 section4 section5)
services=(section1 section2_postgresql section2_loader section2_members section4_postgresql section4_loader section4_reader
    section5 section5_report)
started_options=' [--offline]'

before_start() {
    need_port section2_postgresql SECTION2_POSTGRES_PORT
    need_port section5_report SECTION5_PORT
    need_image POSTGRES_IMAGE
    prepare_section1
    prepare_section4 "$@"
}

after_start() { status; }

runner "$@"
