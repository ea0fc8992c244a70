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
    # Half of the tests have an API server or a hub of their own, the others share the cloud and mostly wait for
    # Magnum's provider, which looks every 20 s. Those that kill the lab come last, alone.
    of_the_cloud=(accounting certificates clusters dns gateway magnum_race openstack placement shared_drive)
    of_the_cloud=("${of_the_cloud[@]/#/tests/lab/test_}")
    of_the_cloud=("${of_the_cloud[@]/%/.py}")
    repairs=tests/lab/test_lab.py
    leave_out=("${of_the_cloud[@]}" "$repairs")
    (stage "tests without the cloud" "$bin/pytest" -q --durations=10 tests/lab "${leave_out[@]/#/--ignore=}") \
        >"$logs/alone" 2>&1 &
    alone=$!
    stage "tests of the cloud" "$bin/pytest" -q --durations=10 "${of_the_cloud[@]}"
    wait "$alone" || failed=1
    cat "$logs/alone"
    stage "lab repairs" "$bin/pytest" -q --durations=5 "$repairs"
else
    failed=1
fi
exit "$failed"
