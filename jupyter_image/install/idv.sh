#!/usr/bin/env bash
# Unpacks the Integrated Data Viewer into /opt/IDV, and gives it its command: idv.sh START_SCRIPT ARCHIVE.tar.bz2
set -euo pipefail

install -m 755 "$1" /usr/local/bin/idv
mkdir -p /opt/IDV
# The archive's one folder carries the version; launchers know one place.
tar --extract --bzip2 --file "$2" --directory /opt/IDV --strip-components 1 --no-same-owner
chmod -R go+rX /opt/IDV

for program in runIDV jre/bin/java; do
    if [ ! -x "/opt/IDV/$program" ]; then
        echo "idv.sh: $(basename "$2") has no $program that can be run; is it the viewer with its Java?" >&2
        exit 1
    fi
done
