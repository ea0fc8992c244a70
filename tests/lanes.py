"""All checks and all tests: ``python -m tests.lanes``. One line a stage, with its time and processor time.

What can run side by side does. Most stages wait half of their time for the provider of the clusters, which
looks every 20 s, so there are more lanes than cores. The lab comes up (which on a bare machine compiles for a
quarter of an hour) while what does not need it runs.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lab import paths

PROGRAM = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LANES = 5
YIELDING = ["nice", "-n", "5"]
"""So that a stage is not in the way of the urgent ones. Not less: a browser's tests lose patience."""

LAB_UP = "lab up"


class Use(enum.Enum):
    """What a stage uses, and with whom it can share that."""

    NOTHING = enum.auto()
    TOOLS = enum.auto()
    """The lab's tools; it starts what it asks by itself."""

    CLOUD = enum.auto()
    """The lab's cloud, with others in it."""

    CLOUD_ALONE = enum.auto()
    """The cloud to itself: it counts all that the project owns, or what it burns, or switches a fault on."""

    LAB_ALONE = enum.auto()
    """It starts or kills the lab."""

    def goes_with(self, other: Use) -> bool:
        """Whether stages of both uses can run at the same time."""
        if Use.NOTHING in (self, other):
            return True
        if Use.LAB_ALONE in (self, other):
            return False
        return Use.CLOUD_ALONE not in (self, other) or Use.TOOLS in (self, other)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A command that passes or fails.

    Attributes:
        name: as its lines call it.
        command: the program and its arguments.
        use: of the lab.
        urgent: whether the whole run waits for it: what needs the cloud alone, and the longest after it.
            What starts the lab's services is urgent too, as they inherit it.
        shown: whether what it says is shown as it says it, not at its end.
    """

    name: str
    command: Sequence[str]
    use: Use = Use.NOTHING
    urgent: bool = False
    shown: bool = False


def tests(name: str, use: Use, *paths: str, urgent: bool = False) -> Stage:
    """A stage of tests."""
    command = [str(BIN / "pytest"), "-q", "--durations=5", *paths]
    return Stage(name=name, command=command, use=use, urgent=urgent)


def lab(*names: str) -> list[str]:
    """Files of tests against the lab."""
    return [f"tests/lab/test_{name}.py" for name in names]


# Of each kind the longest first, so that none is left over at the end.
CLOUD_ALONE = [
    tests("budget ladder", Use.CLOUD_ALONE, *lab("budget_ladder"), urgent=True),
    tests("OpenStack, accounting", Use.CLOUD_ALONE, *lab("openstack", "accounting"), urgent=True),
]
CLOUD = [
    tests("gateway", Use.CLOUD, *lab("gateway"), urgent=True),
    tests("budget hook", Use.CLOUD, *lab("budget_hook")),
    tests("clusters", Use.CLOUD, *lab("clusters", "dns")),
    tests("placement, race", Use.CLOUD, *lab("placement", "magnum_race")),
    tests("certificates, shared drive", Use.CLOUD, *lab("certificates", "shared_drive")),
]
TOOLS = [
    tests("refusals", Use.TOOLS, *lab("refusals")),
    tests("plugins", Use.TOOLS, *lab("plugin_conformance_kubernetes", "plugin_conformance_helm")),
    tests("command plugin", Use.TOOLS, *lab("plugin_conformance_command")),
]
AFTER_THE_CLOUD = [tests("leftovers", Use.CLOUD_ALONE, *lab("leftovers"))]
LAB_ALONE = [tests("lab repairs", Use.LAB_ALONE, *lab("lab"), urgent=True)]


def stages() -> list[Stage]:
    """All of them."""
    of_the_lab = [*LAB_ALONE, *CLOUD_ALONE, *CLOUD, *AFTER_THE_CLOUD, *TOOLS]
    named = {path for stage in of_the_lab for path in stage.command[3:]}
    others = [f"--ignore={path}" for path in sorted(named)]
    return [
        Stage(
            name=LAB_UP,
            command=[sys.executable, "-m", "lab", "up"],
            use=Use.LAB_ALONE,
            urgent=True,
            shown=True,
        ),
        Stage(name="lint", command=[str(BIN / "ruff"), "check", "--quiet", "."]),
        Stage(name="format", command=[str(BIN / "ruff"), "format", "--check", "--quiet", "."]),
        # Its cache goes by the files' content, so that a fresh clone has use of it too.
        Stage(name="types", command=[str(BIN / "mypy"), "--cache-dir", str(paths.cache() / "mypy")]),
        *LAB_ALONE,
        tests("unit tests", Use.NOTHING, "tests/unit"),
        *CLOUD_ALONE,
        *CLOUD,
        *AFTER_THE_CLOUD,
        *TOOLS,
        # Last in the list, as a file that nobody named above is among them.
        tests("other tests of the lab", Use.TOOLS, "tests/lab", *others),
        tests("image", Use.NOTHING, "tests/image"),
    ]


def environment() -> dict[str, str]:
    """The environment of all stages: they start our own modules a thousand times, which are compiled once."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def processor_seconds() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Running:
    """A stage that has begun. What it says goes to a file of its own, so that it is shown in one piece."""

    def __init__(self, stage: Stage, said: Path) -> None:
        self.stage = stage
        self._said = said
        self._began = time.monotonic()
        self._processor_seconds = 0.0
        print(f"STAGE {stage.name}: begins", flush=True)
        with said.open("wb") as file:
            out = None if stage.shown else file
            self.process = subprocess.Popen(
                [*([] if stage.urgent else YIELDING), *stage.command],
                cwd=PROGRAM,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def has_ended(self) -> bool:
        """Whether its process has."""
        before = processor_seconds()
        ended = self.process.poll() is not None
        # What all that it has waited for has taken, too; the lab's own services are nobody's children.
        self._processor_seconds += processor_seconds() - before
        return ended

    def tell(self) -> bool:
        """Shows what an ended stage said, and how it ended; returns whether it passed."""
        passed = self.process.returncode == 0
        print(self._said.read_text(errors="replace"), end="")
        seconds = time.monotonic() - self._began
        spent = f"{seconds:.0f} s, {self._processor_seconds:.0f} s of a processor"
        print(f"STAGE {self.stage.name}: {'passed' if passed else 'FAILED'} ({spent})", flush=True)
        return passed

    def stop(self) -> None:
        """Interrupts it, as a terminal would, and waits until it has tidied up."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def run(stages: Sequence[Stage]) -> list[str]:
    """Runs all stages; returns the names of those that did not pass.

    A stage of the lab waits until the lab is up; if it cannot be brought up, these stages fail unseen.
    """
    waiting, running, failed = list(stages), list[Running](), list[str]()
    lab_is_up = False
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or running:
                for ended in [each for each in running if each.has_ended()]:
                    running.remove(ended)
                    passed = ended.tell()
                    if not passed:
                        failed.append(ended.stage.name)
                    if ended.stage.name == LAB_UP:
                        lab_is_up = passed
                        without = [each for each in waiting if not passed and each.use is not Use.NOTHING]
                        for lost in without:
                            print(f"STAGE {lost.name}: FAILED (the lab is not up)", flush=True)
                            waiting.remove(lost)
                            failed.append(lost.name)
                while stage := next_of(waiting, [each.stage for each in running], lab_is_up=lab_is_up):
                    waiting.remove(stage)
                    running.append(Running(stage, Path(folder) / str(len(waiting))))
                time.sleep(0.2)
        finally:
            for each in running:
                each.stop()
    return failed


def next_of(waiting: Sequence[Stage], running: Sequence[Stage], *, lab_is_up: bool) -> Stage | None:
    """The first of the waiting stages that can begin beside the running ones, if any can."""
    if len(running) >= LANES:
        return None
    for stage in waiting:
        ready = lab_is_up or stage.use is Use.NOTHING or stage.name == LAB_UP
        if ready and all(stage.use.goes_with(other.use) for other in running):
            return stage
    return None


def main() -> None:
    """Runs all; the exit status is 1 if a stage did not pass."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    failed = run(stages())
    outcome = f"{', '.join(failed)} FAILED" if failed else "passed"
    print(f"ALL STAGES: {outcome} ({time.monotonic() - began:.0f} s)")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
