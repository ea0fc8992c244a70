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

tests_of() { # files and options of pytest...
    "$bin/pytest" -q --durations=10 "$@"
}

beside() { # name, files and options of pytest...: begins; `both` waits for it and shows what it said
    stage "$1" tests_of "${@:2}" >"$logs/beside" 2>&1 &
    other=$!
}

both() {
    wait "$other" || failed=1
    cat "$logs/beside"
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
    # Some tests count all that the project owns, or what it burns, or switch a fault of the whole cloud on: these
    # have the cloud for themselves, while those without it run beside. Then the others, in two lanes: they mostly
    # wait for Magnum's provider, which looks every 20 s. Those that kill the lab come last, alone.
    alone=(tests/lab/test_{gateway,openstack,accounting,magnum_race,budget_ladder}.py)
    one_half=(tests/lab/test_{clusters,dns}.py)
    other_half=(tests/lab/test_{budget_hook,certificates,placement,shared_drive}.py)
    repairs=tests/lab/test_lab.py
    of_the_cloud=("${alone[@]}" "${one_half[@]}" "${other_half[@]}" "$repairs")
    beside "tests without the cloud" tests/lab "${of_the_cloud[@]/#/--ignore=}"
    stage "tests that have the cloud alone" tests_of "${alone[@]}"
    both
    beside "tests that share the cloud, one half, and of the image" "${one_half[@]}" tests/image
    stage "tests that share the cloud, the other" tests_of "${other_half[@]}"
    both
    stage "lab repairs" tests_of "$repairs"
else
    failed=1
fi
exit "$failed"
