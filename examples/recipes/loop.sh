#!/bin/sh
# loop.sh PHOTOS TOONS [OPTIONS]: every photo in a process of its own, names with spaces and all.
# One `toonify stylize FOLDER` is much faster (the networks are loaded once); this is for whoever
# wants something done to each photo in between.
set -eu
photos=$1 toons=$2
shift 2
mkdir -p "$toons"
failed=0
for photo in "$photos"/*; do
    [ -f "$photo" ] || continue
    name=$(basename "$photo")
    ${TOONIFY:-toonify} stylize "$photo" -o "$toons/${name%.*}.png" --quiet "$@" || {
        failed=$((failed + 1))
        continue
    }
    echo "$name is drawn"
done
[ "$failed" -eq 0 ] || {
    echo "$failed failed" >&2
    exit 1
}
