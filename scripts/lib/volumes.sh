# shellcheck shell=bash
# Volumes as tar files. To be sourced after docker.sh.

need_idle() {
    local users
    users=$(users_of "$1")
    [ -z "$users" ] || die "$1 is in use by $users: stop the section first"
}

# Runs a command of the base image with a volume at /volume: `in_volume VOLUME ro|rw COMMAND…`.
in_volume() {
    local volume=$1 mode=$2 program=$3
    shift 3
    has_image "weir/base:$WEIR_TAG" || die "the image weir/base:$WEIR_TAG does not exist: scripts/build_images.sh"
    docker run --rm --pull never --interactive --network none --read-only --user 0 --volume "$volume:/volume:$mode" \
        --security-opt no-new-privileges --entrypoint "$program" "weir/base:$WEIR_TAG" "$@"
}

# A new file, complete or not at all: `backup_volume VOLUME FILE`. Owners are stored as numeric ids.
backup_volume() {
    local volume=$1 file=$2 has stored
    docker volume inspect "$volume" >/dev/null 2>&1 || die "volume $volume does not exist: scripts/volumes.sh list"
    [ ! -e "$file" ] || die "$file already exists, and no backup replaces another one: choose a new name"
    [ -d "$(dirname "$file")" ] || die "$(dirname "$file") does not exist: create the folder first"
    if ! (umask 077 && in_volume "$volume" ro tar -c -C /volume --numeric-owner -f - . >"$file.part"); then
        rm -f "$file.part"
        die "$volume was not backed up: tar failed"
    fi
    # Names may have line ends, of which tar prints none in a listing of this machine.
    has=$(in_volume "$volume" ro sh -euc 'cd /volume; find . -print0 | tr -dc "\000" | wc -c') || has=0
    if ! stored=$(tar --list --file "$file.part" | wc --lines) || [ "$stored" -ne "$has" ]; then
        rm -f "$file.part"
        die "$volume was not backed up: it has $has files and folders, and the tar file has ${stored:-none}"
    fi
    # On the disk before it has its name. A file that was created meanwhile is not replaced.
    sync "$file.part"
    ln "$file.part" "$file" || die "$file was created by another program: $file.part is complete"
    rm "$file.part"
}

# Replaces the content of a volume, completely or not at all: `restore_volume VOLUME FILE`.
restore_volume() {
    local volume=$1 file=$2
    [ -r "$file" ] || die "$file cannot be read"
    tar --list --file "$file" >/dev/null || die "$file is not a complete tar file: nothing was changed"
    # Compose recognises its volumes by these labels.
    docker volume inspect "$volume" >/dev/null 2>&1 ||
        docker volume create --label "com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
            --label "com.docker.compose.volume=${volume#"${COMPOSE_PROJECT_NAME}_"}" "$volume" >/dev/null
    # Unpacked into a subfolder first and then moved: a failure on the way changes nothing.
    # shellcheck disable=SC2016 # for the shell in the container
    in_volume "$volume" rw sh -euc '
        cd /volume
        rm -rf .restoring
        mkdir .restoring
        trap "rm -rf /volume/.restoring" EXIT
        tar -x -p --numeric-owner -C .restoring -f -
        find . -mindepth 1 -maxdepth 1 ! -name .restoring -exec rm -rf {} +
        find .restoring -mindepth 1 -maxdepth 1 -exec mv {} . \;
        chown "$(stat -c %u:%g .restoring)" .
        chmod "$(stat -c %a .restoring)" .' <"$file"
}
