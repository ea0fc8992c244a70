"""The program that copies and restores the hub's database, on databases of the real JupyterHub."""

from __future__ import annotations

import datetime
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from jupyterhub import orm  # type: ignore[import-untyped]

from operations.hub_database import BackupError, back_up, copies, restore, table, verified
from tests.unit.settings_files import PROGRAM

SCRIPT = PROGRAM / "operations" / "hub_database.py"
NOON = datetime.datetime(2026, 5, 12, 12, 0, 0, tzinfo=datetime.UTC)


def at(hour: int) -> datetime.datetime:
    return NOON.replace(hour=hour)


def add_users(file: Path, *names: str) -> None:
    """As the hub does, which also makes the tables."""
    session = orm.new_session_factory(f"sqlite:///{file}")()
    session.add_all(orm.User(name=name) for name in names)
    session.commit()
    session.close()
    session.get_bind().dispose()


def users(file: Path) -> set[str]:
    """As the hub reads them."""
    session = orm.new_session_factory(f"sqlite:///{file}")()
    found = {user.name for user in session.query(orm.User)}
    session.close()
    session.get_bind().dispose()
    return found


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "hub" / "jupyterhub.sqlite"
    file.parent.mkdir()
    add_users(file, "ada", "grace")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "copies"
    made.mkdir()
    return made


def damage(file: Path) -> None:
    """Overwrites pages in the middle; the first page stays, so that it still opens."""
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)


def test_a_copy_is_named_by_utc_and_counted(database: Path, folder: Path) -> None:
    made = back_up(database, folder, keep=3, now=NOON)
    assert made is not None
    assert (made.name, made.users) == ("jupyterhub-20260512T120000Z.sqlite", 2)
    assert users(folder / made.name) == {"ada", "grace"}
    assert [file.name for file in folder.iterdir()] == [made.name]


def test_only_the_newest_are_kept(database: Path, folder: Path) -> None:
    for hour in range(6):
        back_up(database, folder, keep=3, now=at(hour))
    assert copies(folder) == [f"jupyterhub-20260512T0{hour}0000Z.sqlite" for hour in (5, 4, 3)]


def test_what_is_not_a_copy_is_never_removed(database: Path, folder: Path) -> None:
    (folder / "jupyterhub-mine.sqlite").write_text("kept by hand")
    for hour in range(3):
        back_up(database, folder, keep=1, now=at(hour))
    assert (folder / "jupyterhub-mine.sqlite").exists()


def test_a_failed_copy_removes_nothing(database: Path, folder: Path) -> None:
    for hour in range(3):
        back_up(database, folder, keep=3, now=at(hour))
    before = copies(folder)
    damage(database)
    with pytest.raises(BackupError, match="damaged"):
        back_up(database, folder, keep=1, now=NOON)
    assert copies(folder) == before
    assert len(list(folder.iterdir())) == 3, "a part of a copy is left behind"


def test_a_missing_database_is_told_apart_from_one_that_never_was(database: Path, folder: Path) -> None:
    nowhere = database.with_name("never-made.sqlite")
    assert back_up(nowhere, folder, keep=3, now=NOON) is None
    back_up(database, folder, keep=3, now=NOON)
    database.unlink()
    with pytest.raises(BackupError, match=r"gone.*restore one"):
        back_up(database, folder, keep=3, now=at(13))
    assert len(copies(folder)) == 1


def test_a_database_of_something_else_is_no_copy(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE things (name)")
    with pytest.raises(BackupError, match="no such table: users"):
        back_up(other, folder, keep=3, now=NOON)
    assert not list(folder.iterdir())


def test_a_second_run_in_the_same_second_takes_nothing_away(database: Path, folder: Path) -> None:
    back_up(database, folder, keep=3, now=NOON)
    before = (folder / copies(folder)[0]).stat().st_ino
    with pytest.raises(BackupError, match="in this very second"):
        back_up(database, folder, keep=3, now=NOON)
    assert [file.stat().st_ino for file in folder.iterdir()] == [before]


def test_it_waits_for_a_writer_but_not_for_ever(database: Path, folder: Path) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BackupError, match="written to"):
        back_up(database, folder, keep=3, now=NOON, patience=0.1)
    assert not list(folder.iterdir())
    writer.execute("ROLLBACK")
    writer.close()
    assert back_up(database, folder, keep=3, now=NOON) is not None


def test_parts_that_a_killed_run_left_are_cleared_away(database: Path, folder: Path) -> None:
    old, new = folder / "a.partial", folder / "b.partial"
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    os.utime(new, (NOON.timestamp(), NOON.timestamp()))
    back_up(database, folder, keep=3, now=NOON)
    assert not old.exists()
    assert new.exists(), "another run may be at it"


def test_a_restore_keeps_what_it_replaces(database: Path, folder: Path) -> None:
    made = back_up(database, folder, keep=3, now=NOON)
    assert made is not None
    add_users(database, "mallory")
    replaced = restore(folder / made.name, database, now=at(13))
    assert users(database) == {"ada", "grace"}
    assert replaced == database.with_name("jupyterhub.sqlite.replaced-20260512T130000Z")
    assert users(replaced) == {"ada", "grace", "mallory"}


def test_the_journal_of_the_replaced_database_does_not_touch_the_new_one(
    database: Path, folder: Path
) -> None:
    """SQLite would roll it back into whatever database lies beside it."""
    made = back_up(database, folder, keep=3, now=NOON)
    assert made is not None
    journal = database.with_name("jupyterhub.sqlite-journal")
    journal.write_bytes(b"of a hub that was killed")
    restore(folder / made.name, database, now=at(13))
    assert not journal.exists()
    assert database.with_name("jupyterhub.sqlite.replaced-20260512T130000Z-journal").exists()
    database.unlink()
    journal.write_bytes(b"of a database that is gone")
    assert restore(folder / made.name, database, now=at(14)) is None
    assert not journal.exists()


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_copy_that_is_no_good_changes_nothing(database: Path, folder: Path, fault: str) -> None:
    made = back_up(database, folder, keep=3, now=NOON)
    assert made is not None
    if fault == "missing":
        (folder / made.name).unlink()
    else:
        damage(folder / made.name)
    before = database.read_bytes()
    with pytest.raises(BackupError):
        restore(folder / made.name, database, now=at(13))
    assert database.read_bytes() == before
    assert [file.name for file in database.parent.iterdir()] == [database.name]


def test_the_table_tells_damaged_copies_from_whole_ones(database: Path, folder: Path) -> None:
    for hour in (1, 2):
        back_up(database, folder, keep=3, now=at(hour))
    damage(folder / copies(folder)[0])
    newest, oldest = (line.split("\t") for line in table(folder).splitlines())
    assert newest[0] == "jupyterhub-20260512T020000Z.sqlite"
    assert "damaged" in newest[2]
    assert oldest[2] == "2"


def test_the_table_fits_into_a_report(database: Path, folder: Path) -> None:
    made = back_up(database, folder, keep=3, now=NOON)
    assert made is not None
    for number in range(200):
        os.link(folder / made.name, folder / f"jupyterhub-20250101T{number:06}Z.sqlite")
    lines = table(folder).splitlines()
    assert len(table(folder).encode()) <= 4096
    assert len(lines) > 40
    assert lines[0].startswith(made.name)


def test_copies_are_for_their_owner_only(database: Path, folder: Path) -> None:
    done = run_script(database, folder, "backup")
    assert done.returncode == 0
    (copy,) = folder.iterdir()
    assert copy.stat().st_mode & 0o077 == 0


def run_script(database: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a pod runs it: no packages, no other file of the program."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments],
        env={
            "HUB_DATABASE": str(database),
            "HUB_BACKUPS": str(folder),
            "HUB_BACKUPS_KEPT": "2",
            "HUB_BACKUP_REPORT": str(folder.parent / "report"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_alone_it_does_all_that_it_is_asked_and_reports_it(database: Path, folder: Path) -> None:
    done = run_script(database, folder, "backup")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 users" in done.stdout
    assert (folder.parent / "report").read_text() == done.stdout.strip()
    name = copies(folder)[0]
    assert run_script(database, folder, "list").stdout.startswith(f"{name}\t")
    add_users(database, "mallory")
    assert run_script(database, folder, "restore", name).returncode == 0
    assert users(database) == {"ada", "grace"}


@pytest.mark.parametrize("arguments", [(), ("restore",), ("restore", "../../etc/passwd"), ("remove",)])
def test_other_commands_are_refused_in_words(
    database: Path, folder: Path, arguments: tuple[str, ...]
) -> None:
    done = run_script(database, folder, *arguments)
    assert done.returncode == 1
    assert "backup, list, restore NAME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_not_there_is_told_in_words(database: Path, folder: Path) -> None:
    done = run_script(database, folder / "missing", "list")
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_verified_never_makes_a_database(tmp_path: Path) -> None:
    with pytest.raises(BackupError):
        verified(tmp_path / "not-there.sqlite")
    assert not list(tmp_path.iterdir())
