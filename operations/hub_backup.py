"""Copies of the hub's database, for its operator.

    python -m operations.hub_backup list --kubeconfig FILE --namespace jhub
    python -m operations.hub_backup restore --kubeconfig FILE --namespace jhub --from latest
    python -m operations.hub_backup before-upgrade --namespace jhub
    python -m operations.hub_backup remove-jobs --namespace jhub

The credentials may also be in the variable KUBECONFIG_TEXT. The work itself is done inside the cluster, by
`operations.hub_database`.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from operations.hub_cluster import ClusterError, HubCluster, connected

LATEST = "latest"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A copy, as the cluster lists it.

    Attributes:
        name: its file's name, which holds the time it was made, in UTC.
        size: in bytes.
        users: how many users it knows; None if it cannot be used.
        problem: why it cannot be used; empty if it can.
    """

    name: str
    size: int
    users: int | None
    problem: str

    @property
    def made(self) -> datetime.datetime:
        """When it was made."""
        stamp = self.name.removeprefix("jupyterhub-").removesuffix(".sqlite")
        return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)

    @property
    def line(self) -> str:
        """For people."""
        told = self.problem if self.users is None else f"{self.users} users"
        return f"{self.name}  {self.made:%Y-%m-%d %H:%M:%S} UTC  {self.size / 1024:.0f} KiB  {told}"


def entries(table: str) -> list[Entry]:
    """Reads the table that the cluster gives: name, bytes, and users or a problem, by tabs."""
    found = []
    for line in table.splitlines():
        name, size, last = line.split("\t", 2)
        is_whole = last.isdigit()
        found.append(
            Entry(
                name=name,
                size=int(size),
                users=int(last) if is_whole else None,
                problem="" if is_whole else last,
            )
        )
    return found


def chosen(found: Sequence[Entry], wanted: str) -> Entry:
    """The copy to restore.

    Args:
        found: all copies, the newest first.
        wanted: a name, or ``latest`` for the newest that is whole.

    Raises:
        ClusterError: if there is none such.
    """
    fitting = [entry for entry in found if entry.users is not None and (wanted in (LATEST, entry.name))]
    if fitting:
        return fitting[0]
    listed = "\n".join(entry.line for entry in found) or "There are no copies at all."
    raise ClusterError(f"There is no whole copy {wanted}:\n{listed}")


def plan(entry: Entry, cluster: HubCluster, now: datetime.datetime) -> str:
    """What a restore will do, for the operator to agree to."""
    age = now - entry.made
    hours = age.total_seconds() / 3600
    return "\n".join(
        [
            f"In namespace {cluster.namespace} of {cluster.address}:",
            "  1. the hub is stopped: nobody can log in; servers that run go on",
            f"  2. its database is replaced by {entry.line}",
            f"     what the hub has learnt in the {hours:.1f} hours since is lost",
            "     the database of now is kept beside it, as jupyterhub.sqlite.replaced-<time>",
            "  3. the hub is started again",
        ]
    )


def restore(cluster: HubCluster, wanted: str, agreed: Callable[[], bool], *, now: datetime.datetime) -> str:
    """Stops the hub, puts a copy in the place of its database, and starts it again, whatever happens.

    Args:
        cluster: the hub's namespace.
        wanted: a copy's name, or ``latest``.
        agreed: asks whether to go on, after the plan has been shown.
        now: the time in UTC.

    Returns:
        What was done, in words.

    Raises:
        ClusterError: if it was not done; the text says what state the hub is in.
    """
    entry = chosen(entries(cluster.run("list", ["list"])), wanted)
    print(plan(entry, cluster, now))
    if not agreed():
        raise ClusterError("Nothing was done.")
    done: str | None = None
    try:
        print("Stopping the hub", flush=True)
        with cluster.stopped():
            print("Replacing its database", flush=True)
            done = cluster.run("restore", ["restore", entry.name], writes=True)
            print("Starting the hub", flush=True)
    except ClusterError as error:
        state = "Not restored" if done is None else "Restored"
        raise ClusterError(f"{state}. {error}") from None
    return done or f"{entry.name} is the hub's database now"


def before_upgrade(cluster: HubCluster) -> str:
    """Makes a copy, if there is anything to copy.

    Raises:
        ClusterError: if there is, and no copy could be made: then the upgrade must not begin.
    """
    if not cluster.has_database():
        return "There is no hub yet, so nothing to back up."
    try:
        return cluster.run("before-upgrade", ["backup"]) or "The hub's database is backed up."
    except ClusterError as error:
        raise ClusterError(f"The hub is not upgraded, as its database is not backed up. {error}") from None


def credentials(file: Path | None, environment: Mapping[str, str]) -> str:
    """A kubeconfig's text: from the file that was named, else from the variable KUBECONFIG_TEXT.

    Never from the current context of this machine: it may be another cluster's.

    Raises:
        ClusterError: if there is neither.
    """
    if file is not None:
        try:
            return file.read_text()
        except OSError as error:
            raise ClusterError(f"--kubeconfig {file}: {error.strerror}") from None
    if text := environment.get("KUBECONFIG_TEXT"):
        return text
    raise ClusterError("Name the cluster by --kubeconfig FILE; `openstack coe cluster config` writes one.")


def ask() -> bool:
    """Asks the operator; without a terminal, the answer is no."""
    if not sys.stdin.isatty():
        print("There is nobody to ask: add --yes to go on.", file=sys.stderr)
        return False
    return input("Go on? Type yes: ").strip() == "yes"


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m operations.hub_backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("list", "shows the copies, the newest first"),
        ("restore", "puts a copy in the place of the hub's database"),
        ("before-upgrade", "makes a copy, if there is a database; fails if it cannot"),
        ("remove-jobs", "removes the Jobs of copies, so that the hub can be removed; the copies stay"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--kubeconfig", type=Path, metavar="FILE", help="credentials of the cluster")
        command.add_argument("--namespace", required=True, help="the hub's namespace")
        if name == "restore":
            command.add_argument("--from", dest="copy", required=True, help="a copy's name, or latest")
            command.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line asks.

    Returns:
        The exit status.
    """
    options = _parsed(arguments)
    try:
        with connected(credentials(options.kubeconfig, os.environ), options.namespace) as cluster:
            match options.command:
                case "list":
                    found = entries(cluster.run("list", ["list"]))
                    print("\n".join(entry.line for entry in found) or "There are no copies.")
                case "restore":
                    now = datetime.datetime.now(datetime.UTC)
                    print(restore(cluster, options.copy, ask if not options.yes else lambda: True, now=now))
                case "remove-jobs":
                    cluster.remove_jobs()
                case _:
                    print(before_upgrade(cluster))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
