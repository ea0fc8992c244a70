#!/usr/bin/env bash
# All checks and all tests, one line per stage with its time. The lab comes up (which on a bare machine
# compiles for a quarter of an hour) while the checks that do not need it run.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0

stage() { # name, command...
    local name=$1 began=$SECONDS
    shift
    if "$@"; then
        echo "STAGE $name: passed ($((SECONDS - began)) s)"
    else
        echo "STAGE $name: FAILED ($((SECONDS - began)) s)"
        failed=1
        return 1
    fi
}

echo "STAGE lab up: begins in the background"
(stage "lab up" "$bin/python" -m lab up) >"$logs/up" 2>&1 &
up=$!

stage "lint" "$bin/ruff" check --quiet .
stage "format" "$bin/ruff" format --check --quiet .
stage "types" "$bin/mypy"
stage "unit tests" "$bin/pytest" -q tests/unit

# Whoever watches sees the lab come up, from the beginning.
tail -n +1 -f --pid="$up" "$logs/up"
if wait "$up"; then
    # The plugins' tests have an API server of their own and mostly wait for the engine, the others for
    # Magnum's provider, which looks every 20 s. Those that kill the lab come last, alone.
    plugins=(tests/lab/test_plugin_conformance_*.py)
    (stage "plugin conformance" "$bin/pytest" -q --durations=5 "${plugins[@]}") >"$logs/plugins" 2>&1 &
    conformance=$!
    stage "lab tests" "$bin/pytest" -q --durations=10 tests/lab \
        "${plugins[@]/#/--ignore=}" --ignore=tests/lab/test_lab.py
    wait "$conformance" || failed=1
    cat "$logs/plugins"
    stage "lab repairs" "$bin/pytest" -q --durations=5 tests/lab/test_lab.py
else
    failed=1
fi
exit "$failed"
