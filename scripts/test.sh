#!/usr/bin/env bash
# Installs what the tests need, and runs them; --help describes the parts.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib/common.sh"
cd "$root"
target=${CARGO_TARGET_DIR:-target}

usage() {
    cat <<'USAGE'
scripts/test.sh [PART…]

Without arguments: install and full.

  install   installs what the tests need: Debian packages where this is allowed (otherwise the missing ones are named),
            and tools in a folder that outlives the checkout
  fast      format, shell scripts, dependencies, lints, and the unit tests of all crates
  cluster   lints and tests of the cluster's program: a scheduler and executors as processes
  full      what fast checks, and all tests but those of cluster: end-to-end tests, fuzz targets, the dashboards, Prometheus's rules, Airflow's
            and Dagster's examples, the Kubernetes manifests,
            the platform of section 3, pages in a browser, documentation, and the images where a Docker daemon answers
USAGE
}

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

# install ------------------------------------------------------------------------------------------

# Puts the missing Debian packages into `missing`. A package is missing when its command or file is.
find_missing_packages() {
    missing=()
    local pair package sign initdb browser=()
    # A browser that CHROMIUM names takes the place of the package.
    [ -n "${CHROMIUM:-}" ] || browser=(chromium:chromium)
    # Debian keeps a server's programs outside of the search path, in a folder per version.
    initdb=$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | head -n 1 || :)
    for pair in gcc:cc libc6-dev:/usr/include/stdlib.h mariadb-server:/usr/sbin/mariadbd mariadb-client:mariadb \
        "postgresql:${initdb:-initdb}" shellcheck:shellcheck graphviz:dot "${browser[@]}"; do
        package=${pair%%:*} sign=${pair#*:}
        case $sign in
            /*) [ -e "$sign" ] || missing+=("$package") ;;
            *) command -v "$sign" >/dev/null || missing+=("$package") ;;
        esac
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    if docker version >/dev/null 2>&1 && ! docker compose version >/dev/null 2>&1 &&
        ! command -v docker-compose >/dev/null; then
        missing+=(docker-compose)
    fi
}

# The images are tested where Docker is. A daemon that is installed and does not run is started, where that is allowed.
start_docker() {
    if command -v docker >/dev/null && ! docker version >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
        service docker start >/dev/null 2>&1 || :
        for _ in {1..30}; do
            ! docker version >/dev/null 2>&1 || break
            sleep 1
        done
    fi
}

install_packages() {
    local missing as_root=() version
    find_missing_packages
    [ ${#missing[@]} -gt 0 ] || return 0
    step "installing ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo)
    fi
    if ! command -v apt-get >/dev/null || { [ ${#as_root[@]} -gt 0 ] && ! command -v sudo >/dev/null; }; then
        warn "these packages are missing and cannot be installed from here: ${missing[*]}"
        die "on Debian or Ubuntu: apt-get install ${missing[*]}"
    fi
    "${as_root[@]}" apt-get update -q
    if [[ " ${missing[*]} " == *" postgresql "* ]]; then
        # The tests start servers of their own, so the system needs none: the package of the release's version,
        # configured not to create a cluster, instead of the one named `postgresql`.
        version=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]\+\)$/\1/p' | head -n 1)
        missing=("${missing[@]/#postgresql/${version:-postgresql}}")
        if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
            "${as_root[@]}" mkdir -p /etc/postgresql-common
            echo 'create_main_cluster = false' |
                "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get install -qy --no-install-recommends "${missing[@]}"
}

need_rust() {
    local component
    command -v cargo >/dev/null ||
        die "cargo is missing: install Rust ($(workspace_key rust-version) or newer) with rustup"
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 ||
            die "cargo $component is missing: rustup component add rustfmt clippy"
    done
}

# Prometheus and promtool of Debian's package, unpacked beside the other tools: installed, it would be a service that runs.
install_prometheus() {
    local folder
    folder=$(tools_folder)/prometheus
    [ ! -x "$folder/usr/bin/promtool" ] || return 0
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
        return 0
    fi
    step "unpacking prometheus"
    command -v apt-get >/dev/null || die "prometheus and promtool are missing: put them into the search path"
    mkdir -p "$folder"
    (
        cd "$folder"
        apt-get download -q prometheus || {
            [ "$(id -u)" -eq 0 ] || die "the package lists are missing: apt-get update"
            apt-get update -q
            apt-get download -q prometheus
        }
        dpkg-deb --extract prometheus_*.deb .
        rm prometheus_*.deb
    )
}

part_install() {
    start_docker
    install_packages
    need_rust
    python_environment tools scripts/requirements-test.txt
    # Grafana's own types.
    python_environment grafana docker/grafana/requirements.txt
    python_environment kubernetes deploy/kubernetes/requirements.txt
    # A second server of objects.
    python_environment moto scripts/requirements-moto.txt
    # Checks of alerts, metrics and events of lineage.
    python_environment monitoring scripts/requirements-monitoring.txt
    python_environment orchestrators examples/requirements-orchestrators.txt
    install_prometheus
    # A linter of CloudFormation, and a stand-in for AWS.
    python_environment section3 section3/check/requirements.txt
    python_environment page page/requirements.txt
}

# All members but the cluster's program.
ordinary=(--workspace --exclude weir-cluster)

# The steps ----------------------------------------------------------------------------------------

check_format() {
    step "format"
    cargo fmt --all --check
}

check_scripts() {
    step "shell scripts"
    local scripts
    mapfile -t scripts < <(git grep --untracked --files-with-matches --extended-regexp '^#!.*[/ ](ba|da)?sh( |$)' \
        -- . ':!*.rs')
    [ ${#scripts[@]} -gt 0 ] || die "no shell script was found"
    shellcheck --external-sources "${scripts[@]}" scripts/lib/*.sh
    say "${#scripts[@]} scripts"
}

# deny.toml has the rules. That a crate states its licence in a file alone is not worth a warning: the file is read.
check_dependencies() {
    step "dependencies"
    "$(tools_folder)/tools/bin/cargo-deny" --locked check --allow no-license-field bans licenses sources
}

# Built alone, a member must have the units that the workspace's build has: nothing is compiled twice.
check_features() {
    step "features"
    scripts/check_features.sh
}

# Warnings are errors here and in CI; they are not in a build in the middle of a change.
check_lints() {
    step "lints"
    cargo clippy "${ordinary[@]}" --all-targets --locked -- -D warnings
}

test_units() {
    step "unit tests"
    cargo test "${ordinary[@]}" --lib --locked
    # What holds of the sources themselves.
    cargo test -p weir --test architecture --test public_api --locked
}

test_all() {
    step "tests"
    cargo test "${ordinary[@]}" --locked
}


# A fuzz target has no end: that the targets compile is checked, without libFuzzer, in the same target folder.
check_fuzz_targets() {
    step "fuzz targets"
    cargo clippy --manifest-path fuzz/Cargo.toml --target-dir "$target" --no-default-features --locked -- -D warnings ||
        die "the fuzz targets do not compile; after a change of dependencies fuzz/README.md describes what to do"
}

check_dashboard() {
    step "dashboard"
    "$(tools_folder)/grafana/bin/python" docker/grafana/check_dashboard.py
}

check_monitoring() {
    step "Prometheus"
    PROMETHEUS=$(tools_folder)/prometheus/usr/bin "$(tools_folder)/grafana/bin/python" docker/prometheus/check.py
}

# The examples, as Airflow and Dagster load and run them.
check_orchestrators() {
    step "Airflow and Dagster"
    PYTHONDONTWRITEBYTECODE=1 "$(tools_folder)/orchestrators/bin/python" examples/check_orchestrators.py
}

check_kubernetes() {
    step "Kubernetes"
    scripts/check_kubernetes.sh
}

# Whether diagrams and tables are those of their sources, and the template, which is deployed onto a stand-in.
check_platform() {
    step "section 3"
    local check
    for check in diagrams capacity template test_template smoke; do
        PYTHONDONTWRITEBYTECODE=1 "$(tools_folder)/section3/bin/python" "section3/check/$check.py"
    done
}

# A profile with all kinds of charts, the report of section5, and the lineage of a task, in a browser.
check_pages() {
    step "pages"
    local folder page
    folder=$(mktemp --directory)
    CREDIT_FOLDER=$folder pipelines/credit/source/deliver.sh --sample 2000 --hours 1 --from 2022-06-05T00
    "$target/debug/weir" profile "$folder/yyyy=2022/mm=06/dd=05/hh=00/loans.csv" --null-value NA \
        --target SeriousDlqin2yrs --output "$folder/profile.html" >/dev/null
    "$target/debug/section5" report --output "$folder/report.html" 2>"$folder/log" || {
        cat "$folder/log" >&2
        die "the report of section5 was not written"
    }
    for page in profile report; do
        "$(tools_folder)/page/bin/python" page/check_page.py "$folder/$page.html"
    done
    "$target/debug/weir" lineage pipelines/weekly_sales/weekly_sales.yaml --html --output "$folder/lineage.html" >/dev/null
    "$(tools_folder)/page/bin/python" page/check_page.py --no-charts "$folder/lineage.html"
    rm -r "$folder"
}

check_documentation() {
    step "documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc "${ordinary[@]}" --no-deps --locked --document-private-items
}

test_images() {
    step "images"
    scripts/test_images.sh "$target/debug"
}

static_checks() {
    check_format
    check_scripts
    check_dependencies
    check_features
    check_lints
}

part_fast() {
    static_checks
    test_units
}

# In a build of its own: what it runs on turns on features of DataFusion that nothing else needs.
part_cluster() {
    step "lints of the cluster's program"
    cargo clippy -p weir-cluster --all-targets --locked -- -D warnings
    step "tests of the cluster's program"
    cargo test -p weir-cluster --locked
}

part_full() {
    static_checks
    test_all
    check_fuzz_targets
    check_dashboard
    check_monitoring
    check_orchestrators
    check_kubernetes
    check_platform
    check_pages
    check_documentation
    test_images
}

[ $# -gt 0 ] || set -- install full
for part in "$@"; do
    case $part in
        install | fast | cluster | full) ;;
        -h | --help)
            usage
            exit
            ;;
        *)
            warn "unknown part $part"
            usage >&2
            exit 2
            ;;
    esac
done
for part in "$@"; do
    "part_$part"
done
step "done: $*"
