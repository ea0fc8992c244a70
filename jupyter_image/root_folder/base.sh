#!/usr/bin/env bash
# Gives a folder of Debian packages what the image's build and start expect of Jupyter's minimal notebook, as
# https://jupyter-docker-stacks.readthedocs.io tells it: the user, a Python in /opt/conda with an activation at
# each start, and the hook folders with what runs them.
set -euo pipefail

useradd --uid 1000 --gid users --shell /bin/bash --create-home jovyan
python3 -m venv /opt/conda
chown -R 1000:100 /opt/conda

bin=/usr/local/bin
mkdir "$bin/start-notebook.d" "$bin/before-notebook.d"
# shellcheck disable=SC2016
echo 'PATH=/opt/conda/bin:$PATH' >"$bin/before-notebook.d/10activate-conda-env.sh"

cat >"$bin/start.sh" <<'START'
#!/bin/bash
# Scripts named *.sh are sourced, so that they can change the environment; other programs are run.
set -e
for hook in /usr/local/bin/start-notebook.d/* /usr/local/bin/before-notebook.d/*; do
    case $hook in
    *.sh) echo "Sourcing shell script: $hook"; source "$hook" || true ;;
    *) if [ -f "$hook" ] && [ -x "$hook" ]; then "$hook" || true; fi ;;
    esac
done
exec "$@"
START
chmod 755 "$bin/start.sh"
