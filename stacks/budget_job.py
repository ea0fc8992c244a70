"""The scheduled run: record, forecast, decide the rung, preview, and with --yes apply it. For cron.

python -m stacks.budget_job --stack prod --yes
"""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from allocation.errors import AllocationError
from allocation.ladder import Rung
from stacks import decision_log, held_pools, rung_file
from stacks.brake import Ruling, rule
from stacks.decision_log import Outcome
from stacks.forecast_hook import fixed_nodes, known_of
from stacks.problems import SettingsError
from stacks.pulumi_runs import JobError, RefusedError, preview, state, up
from stacks.rungs import braked
from stacks.settings import Settings
from stacks.settings_budget import FOLDER
from stacks.settings_parsing import parse
from stacks.values_command import CommandError, configuration

PROJECT = FOLDER
"""Where the stacks' files are, and pulumi is run."""

BUSY = 75
"""Exit status while another run is under way: sysexits' EX_TEMPFAIL, try again later."""

STOPPED = 130
"""Exit status after Ctrl+C or a request to end: as of a shell's command that was interrupted."""

RECORD_SECONDS = 300
"""After so long the recording is given up."""

EXAMPLES = """examples:
  python -m stacks.budget_job --stack prod          what would be done: the rung, and Pulumi's preview
  python -m stacks.budget_job --stack prod --yes    do it
exit status: 0 done or nothing to do, 1 a failure told in words, 75 another run is under way, 130 stopped
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    options = _parser().parse_args(arguments)
    # Who ends the run by SIGTERM, such as a machine that goes down, has it end as by Ctrl+C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say = _to_stderr if options.json else print
    try:
        settings = settings_of(options.stack)
        ledger = settings.budget.ledger_path
        if ledger is None:
            raise JobError(
                "gateway:budget.ledger names no file, and without a ledger there is nothing to decide on; "
                f"set it: pulumi config set --stack {options.stack} --path gateway:budget.ledger usage.csv"
            )
        with only_one(ledger) as alone:
            if not alone:
                print(f"Another run on {ledger} is under way; this one does nothing.", file=sys.stderr)
                return BUSY
            with decision_log.outcome_of_run(ledger, options.stack) as outcome:
                failed = record(settings, ledger, options.cloud)
                if failed is not None:
                    _to_stderr(f"Recording failed, and the run goes on with old figures: {failed}")
                ruling, sentence = decide(
                    settings, ledger, options.stack, failed=failed and "this run could not fetch figures"
                )
                say(sentence)
                apply(settings, ruling, sentence, outcome, options=options, say=say)
    except (JobError, AllocationError, CommandError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The machine refuses: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the next run goes on from here.", file=sys.stderr)
        return STOPPED
    if options.json:
        print(json.dumps({**ruling.as_json(), **outcome.as_json()}, indent=1))
    return 0


def apply(
    settings: Settings,
    ruling: Ruling,
    sentence: str,
    outcome: Outcome,
    *,
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> None:
    """Previews, and with --yes applies, as much as is not refused.

    A brake must not wait until somebody takes a refused change of the pools back: on a rung, and when one is
    left, the pools then stay as they stand, and all else is done.

    Raises:
        JobError, SettingsError: if that fails, or is refused as a whole.
    """
    environment: dict[str, str] = {}
    try:
        outcome.changes = preview(PROJECT, options.stack, say, said=sentence)
    except RefusedError:
        if max(ruling.before, ruling.decision.state.rung) == Rung.NORMAL:
            raise
        environment, outcome.held = hold(settings, ruling.decision.state.rung, options.stack)
        told = "; ".join(f"{name}: {words}" for name, words in outcome.held.items())
        _to_stderr(f"The rung is applied without the change that is refused. {told}")
        outcome.changes = preview(PROJECT, options.stack, say, said=sentence, environment=environment)
    if outcome.changes and options.yes:
        up(PROJECT, options.stack, say, environment=environment)
        outcome.applied = True
    elif outcome.changes:
        say("Nothing was changed; --yes does it.")
    else:
        say("Nothing is to be changed.")


def hold(settings: Settings, rung: Rung, stack: str) -> tuple[dict[str, str], dict[str, str]]:
    """The environment that has the program leave the pools as they stand; and of those that are then not as
    asked for, what they are, in words.

    Raises:
        JobError: if that is not known, or makes no sense.
    """
    try:
        stand = held_pools.in_state(state(PROJECT, stack))
        asked = braked(settings, rung)
        kept = held_pools.held(asked, stand)
    except (ValueError, SettingsError) as error:
        raise JobError(
            "The change of the pools is refused, and the rung cannot be applied without it; nothing was "
            f"changed: {error}"
        ) from None
    return held_pools.variable(stand), held_pools.differing(asked.pools, kept.pools)


def settings_of(stack: str) -> Settings:
    """A stack's settings, with a mask for each secret.

    Raises:
        JobError, CommandError, SettingsError: if there are none, or they cannot be used.
    """
    if "/" in stack:
        raise JobError(f"{stack} is no name of a stack; write one such as dev.")
    return parse(*configuration(PROJECT / f"Pulumi.{stack}.yaml"))


@contextmanager
def only_one(ledger: Path) -> Iterator[bool]:
    """Whether no other run on the ledger is under way. The lock ends with the process, however that ends."""
    with ledger.with_name(f"{ledger.stem}.budget.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def record(settings: Settings, ledger: Path, cloud: str | None) -> str | None:
    """Adds today's figures to the ledger. None, or in words why that failed."""
    command = [sys.executable, "-m", "allocation", "record", "--ledger", str(ledger)]
    name = cloud or settings.cloud.name
    command += ["--cloud", name] if name else []
    if settings.budget.plan_path is not None:
        command += ["--plan", str(settings.budget.plan_path)]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, check=False, capture_output=True, text=True, timeout=RECORD_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {RECORD_SECONDS} s"
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split()) or f"exit status {done.returncode}"


def decide(settings: Settings, ledger: Path, stack: str, *, failed: str | None) -> tuple[Ruling, str]:
    """Decides, and writes down the rung and a line that explains it. Returns both, the line as a sentence.

    Raises:
        AllocationError: if a file cannot be read.
        OSError: if one cannot be written.
    """
    now = time.time()
    known, segments = known_of(settings, {pool.flavor for pool in settings.pools.values()}, now=now)
    kept = rung_file.beside(ledger)
    standing = rung_file.read(kept)
    ruling = rule(settings, segments, known, fixed_nodes(settings), standing, now=now, failed=failed)
    after = standing.after(ruling.decision)
    # The line first: a run that is cut short in between decides again, and no rung is without its reason.
    decision_log.write(ledger, {"stack": stack, **ruling.as_json()})
    rung_file.write(kept, after)
    return ruling, after.sentence


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stacks.budget_job",
        description="Record the figures, decide the rung of the budget ladder, and show or apply it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", required=True, help="name of a stack; there is no default")
    parser.add_argument("--yes", action="store_true", help="apply what the preview shows, if anything")
    parser.add_argument("--cloud", metavar="NAME", help="entry of clouds.yaml; default: the settings'")
    parser.add_argument("--json", action="store_true", help="print the decision as JSON, the rest on stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
