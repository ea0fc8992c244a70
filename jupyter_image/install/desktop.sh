#!/usr/bin/env bash
# Installs the virtual desktop's package into the environment: desktop.sh FOLDER
set -euo pipefail

# A copy: a build leaves files beside its source, which is mounted read-only.
copy=$(mktemp --directory)
trap 'rm -rf "$copy"' EXIT
cp -r "$1/." "$copy"

# What it is built with and what it needs are in environment.lock, or this and `pip check` say what is not.
/opt/gateway/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
    --no-index --no-deps --no-build-isolation "$copy"
/opt/gateway/bin/pip check
