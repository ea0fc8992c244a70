#!/usr/bin/env bash
# Tries an image as its users will have it: try_image.sh IMAGE
# Needs Docker, curl and a free port 8888 on loopback.
set -euo pipefail

image=$1
here=$(dirname "$(realpath "$0")")
smoke_test=(--volume "$here/smoke_test.py:/smoke_test.py:ro" "$image" python /smoke_test.py)

docker run --rm "${smoke_test[@]}"
# With an empty volume for a home.
docker run --rm --mount type=tmpfs,destination=/home/jovyan,tmpfs-mode=1777 "${smoke_test[@]}"

# JupyterLab answers, and through it the desktop, whose page asks in this way.
server=$(docker run --detach --publish 127.0.0.1:8888:8888 --env JUPYTER_TOKEN=of-this-run "$image")
trap 'docker rm --force "$server" >/dev/null' EXIT
ask=(curl --fail --silent --show-error --output /dev/null --header 'Authorization: token of-this-run')
"${ask[@]}" --retry 60 --retry-delay 2 --retry-all-errors http://127.0.0.1:8888/api/status
"${ask[@]}" --max-time 180 --header 'X-Virtual-Desktop: 1' --data '{"width": 1280, "height": 800}' \
    http://127.0.0.1:8888/virtual-desktop/session
