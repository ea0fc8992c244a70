#!/usr/bin/env bash
# Installs the virtual desktop into the environment: desktop.sh WHEEL
set -euo pipefail

# All that it needs is in environment.lock, or `pip check` says what is not.
/opt/gateway/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-index --no-deps "$1"
/opt/gateway/bin/pip check
