#!/usr/bin/env bash
# Makes the Python environment /opt/gateway: python_environment.sh ENVIRONMENT.yml ENVIRONMENT.lock
# Its interpreter is the base image's own, so there is one Python in the image and its digest fixes it.
set -euo pipefail

python=/opt/conda/bin/python
wanted=$(sed -n 's/^ *- python=\([0-9]*\.[0-9]*\).*/\1/p' "$1")
found=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
if [ "$wanted" != "$found" ]; then
    echo "python_environment.sh: the base image has Python $found, but $(basename "$1") is for $wanted." \
        "Set it to $found there and run \`python -m jupyter_image.environment\`, or choose another base." >&2
    exit 1
fi

# No recipe of a package is run: what is not a wheel is refused.
"$python" -m venv /opt/gateway
/opt/gateway/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: --requirement "$2"
/opt/gateway/bin/pip check

# A user adds packages for the rest of the session; the next start has the image's own again.
chown -R "${NB_UID:-1000}:${NB_GID:-100}" /opt/gateway
