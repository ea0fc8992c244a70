#!/usr/bin/env bash
# Starts the Integrated Data Viewer with a heap that fits the user's server: idv [ARGUMENT...]
# By itself it takes most of the machine's memory, which here is the node's: the kernel would end it, or
# JupyterLab, as soon as it used more than the server may. The hub tells that limit in bytes.
set -euo pipefail

if [[ ${MEM_LIMIT:-} =~ ^[0-9]+$ ]]; then
    # Half of it, since JupyterLab, its kernels and the desktop need the rest. This variable outdoes the -Xmx of
    # runIDV's own; what a user puts into it outdoes ours.
    export _JAVA_OPTIONS="-Xmx$((MEM_LIMIT / 2 / 1024 / 1024))m ${_JAVA_OPTIONS:-}"
fi
exec /opt/IDV/runIDV "$@"
