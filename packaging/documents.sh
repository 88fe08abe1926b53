#!/bin/sh
# Writes what belongs to the programs in the images besides the programs: licences and bills of materials. To be run in
# the root of the workspace: `documents.sh FOLDER PACKAGE…` writes FOLDER/PACKAGE, to be copied to /usr/share.
set -eu
packaging=$(dirname "$0")
folder=$1
shift
target=$(rustc --version --verbose | sed -n 's/^host: //p')
for package in "$@"; do
    mkdir -p "$folder/$package/licenses/$package" "$folder/$package/sbom"
    cp LICENSE "$folder/$package/licenses/$package/"
    python3 "$packaging/third_party.py" --package "$package" --dynamic "$target" \
        >"$folder/$package/licenses/$package/THIRD-PARTY"
    python3 "$packaging/sbom.py" "$target" "$package" >"$folder/$package/sbom/$package.cdx.json"
done
